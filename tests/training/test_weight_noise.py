"""Clipped gradients, and noise on the weights, by batches, steps and phases."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from asr.errors import InputError
from asr.modules.weight_noise import WeightNoise
from asr.tasks.ctc import CTCTask
from asr.training.run import train

Config = Callable[..., dict[str, Any]]


def test_gradients_are_clipped_by_value(
    tmp_path: Path, tiny_config: Config, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    largest: list[float] = []
    step = torch.optim.SGD.step

    def recorded(self: Any, closure: Any = None) -> Any:
        result = step(self, closure)  # the closure computes and clips
        gradients = [p.grad for group in self.param_groups for p in group["params"] if p.grad is not None]
        largest.append(max(float(gradient.abs().max()) for gradient in gradients))
        return result

    monkeypatch.setattr(torch.optim.SGD, "step", recorded)
    optimizer = {"type": "sgd", "lr": 1e-3}
    changes = {"trainer.epochs": 1, "trainer.gradient_clip": 1e-4, "trainer.gradient_clip_by": "value"}
    train(tiny_config(tmp_path, corpus, optimizer=optimizer, **changes))
    assert largest and all(value == pytest.approx(1e-4) for value in largest)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_gradients_of_a_fused_optimizer_are_clipped(
    precision: str, tmp_path: Path, tiny_config: Config, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of another one: the weights after an epoch are almost the same."""
    monkeypatch.setattr("torch.ops.mkldnn._is_mkldnn_bf16_supported", lambda: True)
    weights = []
    for fused in (None, True):
        optimizer = {"type": "sgd", "lr": 0.1, "fused": fused}
        changes = {"trainer.epochs": 1, "trainer.gradient_clip": 1e-2, "trainer.precision": precision}
        run_dir = tmp_path / str(fused)
        train(tiny_config(run_dir, corpus, optimizer=optimizer, **changes))
        weights.append(load_file(run_dir / "model/weights.safetensors"))
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("per", "draws"), [("batch", 4), ("step", 2)])
def test_weight_noise_of_a_batch_or_a_step(
    per: str, draws: int, tmp_path: Path, tiny_config: Config, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four batches make two steps. The optimizer finds clean weights, and gradients at noisy ones."""
    noisy: list[float] = []
    stepped: list[float] = []
    loss, step = CTCTask.training_loss, torch.optim.SGD.step

    def training_loss(self: CTCTask, batch: Any) -> Any:
        noisy.append(float(next(self.encoder.parameters()).detach()[0, 0]))
        return loss(self, batch)

    def recorded(self: Any, closure: Any = None) -> Any:
        result = step(self, closure)
        stepped.append(float(next(p for p in self.param_groups[0]["params"] if p.dim() == 2).detach()[0, 0]))
        return result

    monkeypatch.setattr(CTCTask, "training_loss", training_loss)
    monkeypatch.setattr(torch.optim.SGD, "step", recorded)
    changes = {"trainer.weight_noise": 0.5, "trainer.weight_noise_per": per, "trainer.accumulate_batches": 2}
    changes |= {"trainer.epochs": 1, "data.utterances": 2, "optimizer": {"type": "sgd", "lr": 1e-9}}
    train(tiny_config(tmp_path, corpus, **changes))
    assert len(noisy) == 4 and len(set(noisy)) == draws and len(stepped) == 2
    assert max(abs(value - stepped[0]) for value in noisy) > 0.01
    assert stepped[0] == pytest.approx(stepped[1], abs=1e-6)


def test_two_phases_without_and_with_weight_noise(
    tmp_path: Path, tiny_config: Config, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deviations: list[float] = []
    add = WeightNoise.add

    def recorded(self: WeightNoise) -> None:
        deviations.append(self.std)
        add(self)

    monkeypatch.setattr(WeightNoise, "add", recorded)
    changes = {"trainer.epochs": 3, "trainer.weight_noise": 0.05, "trainer.weight_noise_from": "best_loss"}
    config = tiny_config(tmp_path / "run", corpus, **changes)
    figures = train(config)
    half = len(deviations) // 2
    assert deviations == [0.0] * half + [0.05] * half and half % 3 == 0
    first = torch.load(tmp_path / "run" / "without_noise" / "checkpoints" / "chosen.ckpt", weights_only=True)
    assert figures["training"]["best_epoch_without_noise"] == first["epoch"] + 1
    # the first phase is a training like any other, which is judged by the dev loss
    train(tiny_config(tmp_path / "clean", corpus, **{"trainer.epochs": 3, "trainer.monitor": "loss"}))
    clean = torch.load(tmp_path / "clean" / "checkpoints" / "best.ckpt", weights_only=True)
    assert clean["epoch"] == first["epoch"]
    for name, value in clean["state_dict"].items():
        assert torch.equal(value, first["state_dict"][name]), name
    # the second one begins where the first one ended
    deviations.clear()
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    assert train(config | {"resume": "auto"})["dev"] == figures["dev"]
    assert deviations == [0.05] * half
    with pytest.raises(InputError, match="holds a run already"):
        train(config)


def test_two_phases_need_noise(tmp_path: Path, tiny_config: Config, corpus: Path) -> None:
    with pytest.raises(InputError, match=r"weight_noise_from=best_loss: trainer.weight_noise is needed too"):
        train(tiny_config(tmp_path, corpus, **{"trainer.weight_noise_from": "best_loss"}))
