"""Learning curves of training runs, from what they wrote for TensorBoard."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from asr.errors import InputError
from asr.training.callbacks import RATES

EVENTS = "tensorboard"  # folder of a run
FIGURES = {"train_loss_epoch": "train loss", "dev_loss": "loss", "gradient_norm": "gradient norm"}

Curve = tuple[list[float], list[float]]  # epochs and values


def find_runs(paths: Iterable[str | Path]) -> dict[str, Path]:
    """Find training runs: folders of runs, or the folders above them.

    Returns:
        The folders by the part of their paths in which they differ.

    Raises:
        InputError: a path that does not exist, or with no run in it.
    """
    runs: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir():
            raise InputError(f"{path}: no such folder; a training run is needed")
        found = sorted(inner.parent for inner in path.rglob(EVENTS) if inner.is_dir())
        if not found and (path.parent / EVENTS).is_dir():  # of its model directory
            found = [path.parent]
        if not found:
            raise InputError(f"{path}: no training run in it (a folder {EVENTS} is missing)")
        runs += found
    runs = list(dict.fromkeys(runs))
    above = Path(os.path.commonpath([run.absolute() for run in runs])) if len(runs) > 1 else runs[0].absolute().parent
    return {str(run.absolute().relative_to(above)): run for run in runs}


def read_curves(run: Path) -> dict[str, Curve]:
    """Return the figures of the epochs of a run by name: "train loss", "loss" (of dev data), "WER" and the like.

    Raises:
        InputError: there are none yet.
    """
    from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator

    events = EventAccumulator(str(run / EVENTS), size_guidance={SCALARS: 0})
    events.Reload()
    tags = events.Tags()[SCALARS]
    epochs = {event.step: event.value for event in events.Scalars("epoch")} if "epoch" in tags else {}
    curves = {}
    for tag in tags:
        name = FIGURES.get(tag)
        if name is None and tag.startswith("dev_"):
            rate = tag.removeprefix("dev_")
            name = RATES.get(rate, rate.replace("_", " "))
        if name is not None:
            curves[name] = _by_epoch([(event.step, event.value) for event in events.Scalars(tag)], epochs)
    if not curves:
        raise InputError(f"{run}: no epoch has ended yet")
    return curves


def _by_epoch(values: Sequence[tuple[int, float]], epochs: Mapping[int, float]) -> Curve:
    """Return the last value of each epoch, counted from 1; values by step, epochs by step as Lightning logs them."""
    found: dict[float, float] = {}
    for number, (step, value) in enumerate(values, start=1):
        if np.isfinite(value):
            found[epochs[step] + 1 if step in epochs else float(number)] = value
    return list(found), list(found.values())
