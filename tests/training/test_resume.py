"""Resuming a training: it ends as if it had not been stopped."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from asr.errors import InputError, Interruption
from asr.training.checkpoints import find_checkpoint
from asr.training.module import TrainingModule
from asr.training.run import train

Config = Callable[..., dict[str, Any]]

EPOCHS = 3
BATCHES = 5  # of an epoch of the corpus below
STEPS = EPOCHS * BATCHES


class Crash(BaseException):
    """What ends a run like SIGKILL: nothing is saved after it."""


def crash() -> None:
    raise Crash


class Recorder:
    """Batches that were trained on; calls ``at[step]()`` before that step, ``in_validation[epoch]()`` in that one."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, ...]] = []
        self.at: dict[int, Callable[[], None]] = {}
        self.in_validation: dict[int, Callable[[], None]] = {}


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    step, validation = TrainingModule.training_step, TrainingModule.validation_step

    def training_step(self: TrainingModule, batch: Any, batch_idx: int) -> Any:
        recorder.at.pop(len(recorder.batches), lambda: None)()
        recorder.batches.append(tuple(batch.ids))
        return step(self, batch, batch_idx)

    def validation_step(self: TrainingModule, batch: Any, batch_idx: int) -> None:
        recorder.in_validation.pop(self.current_epoch, lambda: None)()
        validation(self, batch, batch_idx)

    monkeypatch.setattr(TrainingModule, "training_step", training_step)
    monkeypatch.setattr(TrainingModule, "validation_step", validation_step)
    return recorder


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """The process must be left with the signal handlers that it had."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    assert before == {number: signal.getsignal(number) for number in before}


def with_dropout(tiny_config: Config, run_dir: Path, corpus: Path, schedule: str = "one_cycle", **more: Any) -> Any:
    """A short training in which everything random is used."""
    options = {
        "one_cycle": {"type": "one_cycle", "pct_start": 0.3},
        "plateau": {"type": "plateau", "factor": 0.5, "patience": 0, "threshold": 0.5},
        "constant": None,
    }
    changes = {
        "trainer.epochs": EPOCHS,
        "data.seconds": 2,
        "encoder.dropout": 0.3,
        "encoder.num_layers": 2,
        "encoder.hidden_size": 8,
        "augmentation": {"specaugment": {"type": "specaugment", "time_masks": 1, "frequency_width": 3}},
        "data.perturbation": {"speed": [0.9, 1.0, 1.1]},
        "trainer.weight_noise": 0.02,
        "optimizer.schedule": options[schedule],
    }
    return tiny_config(run_dir, corpus, **(changes | more))


def last(run_dir: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)
    return state


def assert_same_training(one: Path, other: Path) -> None:
    """Same weights, optimizer and schedule at the end, same best weights, same figures."""
    a, b = last(one), last(other)
    for name, value in a["state_dict"].items():
        assert torch.equal(value, b["state_dict"][name]), name
    assert a["global_step"] == b["global_step"] and a["epoch"] == b["epoch"]
    assert a["lr_schedulers"] == b["lr_schedulers"]
    for i, moments in a["optimizer_states"][0]["state"].items():
        assert torch.equal(moments["exp_avg_sq"], b["optimizer_states"][0]["state"][i]["exp_avg_sq"])
    weights = [(run / "model" / "weights.safetensors").read_bytes() for run in (one, other)]
    assert weights[0] == weights[1]
    figures = [json.loads((run / "model" / "metrics.json").read_text()) for run in (one, other)]
    for model_figures in figures:
        del model_figures["training"]["minutes"]
    assert figures[0] == figures[1]


@pytest.fixture(scope="module")
def uninterrupted(
    tmp_path_factory: pytest.TempPathFactory, tiny_config: Config, corpus: Path
) -> Callable[..., tuple[Path, list[tuple[str, ...]]]]:
    """The run that others must equal, of each schedule: its folder, and its batches."""
    done: dict[str, tuple[Path, list[tuple[str, ...]]]] = {}

    def run(recorder: Recorder, schedule: str = "one_cycle", **more: Any) -> tuple[Path, list[tuple[str, ...]]]:
        key = schedule + str(more)
        if key not in done:
            run_dir = tmp_path_factory.mktemp("straight")
            recorder.batches = []
            train(with_dropout(tiny_config, run_dir, corpus, schedule, **more))
            done[key] = run_dir, recorder.batches
            assert len(recorder.batches) == STEPS
        recorder.batches = []
        return done[key]

    return run


def kill(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


@pytest.mark.parametrize("step", [0, 1, BATCHES - 1, BATCHES, STEPS - BATCHES + 1, STEPS - 1])
def test_resumed_after_a_signal_equals_uninterrupted(
    step: int, tmp_path: Path, tiny_config: Config, corpus: Path, uninterrupted: Any, recorder: Recorder
) -> None:
    straight, batches = uninterrupted(recorder)
    number = signal.SIGINT if step % 2 else signal.SIGTERM
    recorder.at[step] = kill(number)
    config = with_dropout(tiny_config, tmp_path, corpus)
    with pytest.raises(Interruption, match=r"signal \d+, saved .*last\.ckpt; continue with resume=auto") as caught:
        train(config)
    assert caught.value.number == number
    assert len(recorder.batches) == step + 1  # what was begun was finished, and nothing more
    assert not (tmp_path / "model").exists()
    train(config | {"resume": "auto"})
    assert recorder.batches == batches
    assert_same_training(straight, tmp_path)


@pytest.mark.parametrize("step", [1, BATCHES - 1, BATCHES + 1, STEPS - 1])
def test_resumed_with_averaged_weights(
    step: int, tmp_path: Path, tiny_config: Config, corpus: Path, uninterrupted: Any, recorder: Recorder
) -> None:
    averaged: dict[str, Any] = {"trainer.average_epochs": 2}
    straight, batches = uninterrupted(recorder, **averaged)
    recorder.at[step] = kill(signal.SIGTERM)
    config = with_dropout(tiny_config, tmp_path, corpus, **averaged)
    with pytest.raises(Interruption):
        train(config)
    train(config | {"resume": "auto"})
    assert recorder.batches == batches
    assert_same_training(straight, tmp_path)


@pytest.mark.parametrize("epoch", [0, EPOCHS - 1])
def test_resumed_after_a_signal_in_validation(
    epoch: int, tmp_path: Path, tiny_config: Config, corpus: Path, uninterrupted: Any, recorder: Recorder
) -> None:
    straight, batches = uninterrupted(recorder)
    recorder.in_validation[epoch] = kill(signal.SIGTERM)
    config = with_dropout(tiny_config, tmp_path, corpus)
    with pytest.raises(Interruption):
        train(config)
    assert len(recorder.batches) == (epoch + 1) * BATCHES
    assert last(tmp_path)["epoch"] == epoch
    train(config | {"resume": "auto"})
    assert recorder.batches == batches
    assert_same_training(straight, tmp_path)


@pytest.mark.parametrize("schedule", ["plateau", "constant"])
@pytest.mark.parametrize("step", [BATCHES + 1, 2 * BATCHES - 1])
def test_resuming_keeps_the_schedule(
    schedule: str,
    step: int,
    tmp_path: Path,
    tiny_config: Config,
    corpus: Path,
    uninterrupted: Any,
    recorder: Recorder,
) -> None:
    straight, batches = uninterrupted(recorder, schedule)
    recorder.at[step] = kill(signal.SIGTERM)
    config = with_dropout(tiny_config, tmp_path, corpus, schedule)
    with pytest.raises(Interruption):
        train(config)
    train(config | {"resume": "auto"})
    assert recorder.batches == batches
    assert_same_training(straight, tmp_path)
    if schedule == "plateau":
        assert last(tmp_path)["optimizer_states"][0]["param_groups"][0]["lr"] < 2e-2


@pytest.mark.parametrize("step", [BATCHES + 1, STEPS - 1, STEPS + 1])  # in the first phase, at its end, in the second
def test_resumed_in_either_of_two_phases(
    step: int, tmp_path: Path, tiny_config: Config, corpus: Path, recorder: Recorder
) -> None:
    config = with_dropout(tiny_config, tmp_path / "one", corpus, **{"trainer.weight_noise_from": "best_loss"})
    train(config)
    batches, recorder.batches = recorder.batches, []
    assert len(batches) == 2 * STEPS
    recorder.at[step] = kill(signal.SIGTERM)
    config["run_dir"] = str(tmp_path / "other")
    with pytest.raises(Interruption):
        train(config)
    train(config | {"resume": "auto"})
    assert recorder.batches == batches
    assert_same_training(tmp_path / "one", tmp_path / "other")


@pytest.mark.parametrize("step", [BATCHES + 1, STEPS, STEPS + 1])
def test_the_minutes_are_those_of_all_parts(
    step: int, tmp_path: Path, tiny_config: Config, corpus: Path, recorder: Recorder
) -> None:
    """In the first phase, at the begin of the second (which has no checkpoint after a crash), and in the second."""

    config = with_dropout(tiny_config, tmp_path, corpus, **{"trainer.weight_noise_from": "best_loss"})
    recorder.at[step] = crash if step == STEPS else kill(signal.SIGTERM)
    began = time.perf_counter()
    with pytest.raises((Interruption, Crash)):
        train(config)
    path = find_checkpoint("auto", tmp_path, tmp_path / "without_noise")
    assert path is not None and (path.name == "chosen.ckpt") == (step == STEPS)
    checkpoint = torch.load(path, weights_only=True)
    assert 0 < checkpoint["seconds"] < time.perf_counter() - began
    checkpoint["seconds"] += 3600
    torch.save(checkpoint, path)
    assert 60 < train(config | {"resume": "auto"})["training"]["minutes"] < 61


def test_resuming_with_accumulated_gradients(
    tmp_path: Path, tiny_config: Config, corpus: Path, uninterrupted: Any, recorder: Recorder
) -> None:
    accumulated: dict[str, Any] = {"trainer.accumulate_batches": 2}
    straight, batches = uninterrupted(recorder, **accumulated)
    recorder.at[0] = kill(signal.SIGTERM)
    config = with_dropout(tiny_config, tmp_path, corpus, **accumulated)
    with pytest.raises(Interruption):
        train(config)
    assert len(recorder.batches) == 2  # gradients are not in a checkpoint, so the step is finished first
    train(config | {"resume": "auto"})
    assert recorder.batches == batches
    assert_same_training(straight, tmp_path)


@pytest.mark.parametrize("step", [2, BATCHES, 2 * BATCHES + 1])
def test_resumed_after_a_crash_equals_uninterrupted(
    step: int, tmp_path: Path, tiny_config: Config, corpus: Path, uninterrupted: Any, recorder: Recorder
) -> None:
    """The epoch that was lost is done again; in the first one, all begins anew."""

    straight, batches = uninterrupted(recorder)
    recorder.at[step] = crash
    config = with_dropout(tiny_config, tmp_path, corpus)
    with pytest.raises(Crash):
        train(config)
    kept = step // BATCHES * BATCHES
    assert (tmp_path / "checkpoints" / "last.ckpt").exists() == (kept > 0)
    recorder.batches = recorder.batches[:kept]
    train(config | {"resume": "auto"})
    assert recorder.batches == batches
    assert_same_training(straight, tmp_path)


def test_interrupted_again_and_again(
    tmp_path: Path, tiny_config: Config, corpus: Path, uninterrupted: Any, recorder: Recorder
) -> None:
    straight, batches = uninterrupted(recorder)
    config = with_dropout(tiny_config, tmp_path, corpus) | {"resume": "auto"}
    stops = [1, 2, BATCHES + 1, 2 * BATCHES - 1, 2 * BATCHES + 2]
    for step in stops:
        recorder.at[step] = kill(signal.SIGTERM)
        with pytest.raises(Interruption):
            train(config)
    train(config)
    assert recorder.batches == batches
    assert_same_training(straight, tmp_path)


def test_resuming_with_worker_processes(
    tmp_path: Path, tiny_config: Config, corpus: Path, uninterrupted: Any, recorder: Recorder
) -> None:
    """Workers read ahead, which must not count as done."""
    straight, batches = uninterrupted(recorder)
    recorder.at[BATCHES + 1] = kill(signal.SIGTERM)
    workers: dict[str, Any] = {"data.workers": 1}
    config = with_dropout(tiny_config, tmp_path, corpus, **workers)
    with pytest.raises(Interruption):
        train(config)
    train(config | {"resume": "auto"})
    assert recorder.batches == batches
    assert_same_training(straight, tmp_path)


def test_resume_from_a_path_and_of_a_finished_run(
    tmp_path: Path, tiny_config: Config, corpus: Path, uninterrupted: Any, recorder: Recorder
) -> None:
    straight, batches = uninterrupted(recorder)
    recorder.at[BATCHES + 1] = kill(signal.SIGTERM)
    with pytest.raises(Interruption):
        train(with_dropout(tiny_config, tmp_path / "first", corpus))
    path = tmp_path / "first" / "checkpoints" / "last.ckpt"
    config = with_dropout(tiny_config, tmp_path / "second", corpus)
    train(config | {"resume": str(path)})
    assert recorder.batches == batches
    weights = [last(run)["state_dict"] for run in (straight, tmp_path / "second")]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    train(config | {"resume": "auto"})  # there is nothing left to do but the evaluation
    assert len(recorder.batches) == STEPS


def test_a_second_signal_stops_at_once(tmp_path: Path, tiny_config: Config, corpus: Path, recorder: Recorder) -> None:
    def twice() -> None:
        kill(signal.SIGTERM)()
        kill(signal.SIGTERM)()

    recorder.at[2] = twice
    with pytest.raises(Interruption, match="at once"):
        train(with_dropout(tiny_config, tmp_path, corpus))
    assert len(recorder.batches) == 2


def test_the_line_of_an_epoch_that_was_resumed(
    tmp_path: Path, tiny_config: Config, corpus: Path, recorder: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny_config(tmp_path, corpus, **{"trainer.epochs": 1})
    recorder.at[1] = kill(signal.SIGTERM)
    with pytest.raises(Interruption):
        train(config)
    assert "epoch" not in capsys.readouterr().out  # an epoch that is not over has no line
    train(config | {"resume": "auto"})
    line = capsys.readouterr().out.splitlines()[0]
    assert line.startswith("epoch 1/1")
    assert float(re.findall(r"\| ([\d.]+) s\b", line)[0]) < 60


def test_same_seed_same_model_another_seed_another(
    tmp_path: Path, tiny_config: Config, corpus: Path, uninterrupted: Any, recorder: Recorder
) -> None:
    straight, batches = uninterrupted(recorder)
    train(with_dropout(tiny_config, tmp_path / "same", corpus))
    assert recorder.batches == batches
    assert_same_training(straight, tmp_path / "same")
    train(with_dropout(tiny_config, tmp_path / "other", corpus, seed=2))
    assert last(tmp_path / "other")["state_dict"].keys() == last(straight)["state_dict"].keys()
    name = "task.heads.text.weight"
    assert not torch.equal(last(tmp_path / "other")["state_dict"][name], last(straight)["state_dict"][name])


def test_resume_is_checked(tmp_path: Path, tone_run: Path) -> None:
    with pytest.raises(InputError, match=r"holds a run already: choose resume=auto, or another run_dir"):
        find_checkpoint("none", tone_run)
    with pytest.raises(InputError, match=r"resume=/none/such\.ckpt: no such checkpoint"):
        find_checkpoint("/none/such.ckpt", tmp_path)
    assert find_checkpoint("auto", tmp_path) is None
    assert find_checkpoint("auto", tone_run) == tone_run / "checkpoints" / "last.ckpt"


def test_a_finished_run_goes_on_for_more_epochs(tmp_path: Path, tiny_config: Config, corpus: Path) -> None:
    """The one-cycle schedule then spans all epochs; with as many as before nothing is trained."""
    train(tiny_config(tmp_path, corpus, **{"trainer.epochs": 2}))
    again = tiny_config(tmp_path, corpus, resume="auto", **{"trainer.epochs": 2})
    assert train(again)["training"]["epochs"] == 2
    more = tiny_config(tmp_path, corpus, resume="auto", **{"trainer.epochs": 5})
    assert train(more)["training"]["epochs"] == 5


def test_a_checkpoint_must_fit(tmp_path: Path, tiny_config: Config, corpus: Path, tone_run: Path) -> None:
    last = tone_run / "checkpoints" / "last.ckpt"
    half = tmp_path / "half.ckpt"
    half.write_bytes(last.read_bytes()[:10000])
    for path, message in (
        (last, r"does not fit .* has shape \(128, 40\), \(28, 40\) is expected"),
        (corpus, "not a checkpoint"),
        (half, "not a checkpoint"),
    ):
        with pytest.raises(InputError, match=f"{path}: {message}"):
            train(tiny_config(tmp_path / "run", corpus, resume=str(path), **{"encoder.hidden_size": 7}))
    assert not (tmp_path / "run").exists()
