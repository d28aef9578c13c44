"""The line that an epoch prints: the time that is left."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import torch
from safetensors.torch import load_file

from asr.training.callbacks import EpochLine
from asr.training.module import TrainingModule
from asr.training.pace import Pace
from asr.training.run import best_epoch, train


def test_the_time_left_is_the_mean_time_of_an_epoch_times_the_epochs_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    trainer: Any = SimpleNamespace(current_epoch=3, max_epochs=8)  # resumed: the epochs before were not timed
    module: Any = None
    line = EpochLine()
    line.on_train_start(trainer, module)
    line.on_train_epoch_start(trainer, module)  # Lightning calls it too, unless the epoch is resumed in its middle
    left = []
    for seconds in (10.0, 30.0, 400.0, 3600.0, 5.0):
        clock[0] += seconds
        left.append(line._time_left(trainer, None))
        trainer.current_epoch += 1
        line.on_train_epoch_start(trainer, module)
    assert left == ["40 s left", "60 s left", "5 min left", "17 min left", ""]


def test_a_training_that_ends_in_time_has_no_more_left_than_that(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    trainer: Any = SimpleNamespace(current_epoch=0, max_epochs=100)
    module: Any = None
    line, pace, left = EpochLine(), Pace(50.0), []
    for _ in range(2):
        pace.begin_epoch(100 - trainer.current_epoch)
        line.on_train_epoch_start(trainer, module)
        clock[0] += 20.0
        left.append(line._time_left(trainer, pace))
        trainer.current_epoch += 1
    assert left == ["30 s left", ""]


@pytest.mark.parametrize(("best", "epochs", "hint"), [(2, 40, True), (38, 40, False), (1, 3, False), (30, 40, True)])
def test_the_end_says_which_epoch_is_kept(best: int, epochs: int, hint: bool) -> None:
    line = best_epoch(best, epochs)
    assert line.startswith(f"the weights of epoch {best} of {epochs} are kept")
    assert ("trainer.early_stopping=5 stops after 5 epochs" in line) == hint


def test_the_mean_of_the_last_epochs_is_kept(
    tmp_path: Path,
    tiny_config: Callable[..., dict[str, Any]],
    tone_corpus: Any,
    tone_texts: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    corpus = tone_corpus(tmp_path / "corpus", tone_texts(8))
    ends: list[dict[str, torch.Tensor]] = []

    def on_train_epoch_end(self: L.LightningModule) -> None:
        ends.append({name: weight.detach().clone() for name, weight in self.task.named_parameters()})  # type: ignore

    monkeypatch.setattr(TrainingModule, "on_train_epoch_end", on_train_epoch_end)
    for run, epochs in (("last", 1), ("mean", 2)):
        train(tiny_config(tmp_path / run, corpus, **{"trainer.epochs": 4, "trainer.average_epochs": epochs}))
    for one, other in zip(ends[:4], ends[4:], strict=True):  # training goes on from the weights, not from their mean
        assert all(torch.equal(weight, other[name]) for name, weight in one.items())
    figures = [torch.load(tmp_path / run / "checkpoints" / "best.ckpt")["callbacks"] for run in ("last", "mean")]
    assert figures[0] != figures[1]  # dev figures are those of the mean
    best = torch.load(tmp_path / "mean" / "checkpoints" / "best.ckpt")["epoch"]
    kept = ends[max(0, best - 1) : best + 1]
    for name, weight in load_file(tmp_path / "mean" / "model" / "weights.safetensors").items():
        if name in kept[0]:
            torch.testing.assert_close(weight, torch.stack([end[name] for end in kept]).mean(0))
