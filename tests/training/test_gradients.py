"""Warnings of gradients that explode or vanish."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from asr.modules.rnn import RNN
from asr.training.curves import read_curves
from asr.training.gradients import MIN_STEPS, GradientNorms, gradient_norms
from asr.training.run import train


def test_norms_are_those_of_the_gradients() -> None:
    network = RNN(3, 4, 2, cell="gru")
    assert gradient_norms(network) == (0.0, {})
    network(torch.randn(2, 5, 3), torch.tensor([5, 5])).square().sum().backward()
    total, layers = gradient_norms(network)
    gradients = [p.grad.flatten() for p in network.parameters() if p.grad is not None]
    assert total == pytest.approx(float(torch.cat(gradients).norm()), rel=1e-5)
    assert list(layers) == ["forwards.0", "forwards.1", "backwards.0", "backwards.1"]
    assert math.sqrt(sum(norm**2 for norm in layers.values())) == pytest.approx(total, rel=1e-5)


def test_a_norm_far_above_the_median_explodes() -> None:
    norms = GradientNorms(100)
    norms.recent.extend([1.0] * (MIN_STEPS - 1))
    assert norms.check_step(1e9) == ""  # too few steps to know what is usual
    assert "its norm is inf, where 1 is usual" in norms.check_step(math.inf)
    norms.recent.append(3.0)
    assert norms.check_step(100.0) == ""
    assert norms.check_step(101.0).startswith("the gradient explodes: its norm is 101, where 1 is usual")


def test_a_layer_far_below_another_of_its_stack_vanishes() -> None:
    norms = GradientNorms(100)
    assert norms.check_layers({}) == ""
    assert norms.check_layers({"rnn.forwards.0": 0.011, "rnn.forwards.1": 1.0, "prediction.layers.0": 1e-9}) == ""
    warning = norms.check_layers({"rnn.forwards.0": 0.009, "rnn.forwards.1": 1.0})
    assert warning.startswith("the gradient vanishes: that of rnn.forwards.0 is 0.009, that of rnn.forwards.1 1;")


def test_training_warns_once_an_epoch_and_logs_the_norm(
    tiny_config: Callable[..., dict[str, Any]],
    tone_corpus: Callable[..., Path],
    tone_texts: Callable[..., list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("asr.training.gradients.MIN_STEPS", 1)
    corpus = tone_corpus(tmp_path / "corpus", tone_texts(4))
    changes = {"trainer.epochs": 2, "trainer.gradient_warning": 1, "encoder.num_layers": 2, "data.utterances": 1}
    with caplog.at_level(logging.WARNING, "asr"):
        train(tiny_config(tmp_path / "run", corpus, **changes))
    vanishing = [record.message for record in caplog.records if "vanishes" in record.message]
    exploding = [record.message for record in caplog.records if "explodes" in record.message]
    assert [message.partition(":")[0] for message in vanishing] == ["epoch 1", "epoch 2"]
    assert "encoder.rnn." in vanishing[0] and 1 <= len(exploding) <= 2
    epochs, norms = read_curves(tmp_path / "run")["gradient norm"]
    assert epochs == [1.0, 2.0] and all(norm > 0 for norm in norms)
