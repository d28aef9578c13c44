"""Plots of results, drawn with matplotlib (an extra of the installation)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from asr.utils.atomic import name_file

Point = tuple[Mapping[str, float], float]
"""Weights of a search by name, and the error rate that they give, as a fraction."""


def plot_tuning(path: str | Path, best: Point, trials: Sequence[Point], rate_name: str) -> None:
    """Plot the error rate against each weight, with the other weights at their best, to a .png, .svg or .pdf file.

    Args:
        path: of the picture; the extension chooses the format.
        best: the best trial, marked in black.
        trials: all trials.
        rate_name: "WER", "PER" …, for the axis.
    """
    from matplotlib.figure import Figure

    weights, rate = best
    names = [name for name in weights if len({trial[name] for trial, _ in trials}) > 1]
    figure = Figure(figsize=(4 * max(len(names), 1), 3.2), layout="constrained")
    for axes, name in zip(figure.subplots(1, max(len(names), 1), squeeze=False)[0], names, strict=False):
        others = {key: value for key, value in weights.items() if key != name}
        line: list[Any] = sorted(
            (trial[name], 100 * trial_rate)
            for trial, trial_rate in trials
            if trial[name] is not None and all(trial[key] == value for key, value in others.items())
        )
        axes.plot([value for value, _ in line], [percent for _, percent in line], marker="o")
        if weights[name] is not None:
            axes.plot(weights[name], 100 * rate, marker="o", color="black")
        axes.set_xlabel(name)
        axes.set_ylabel(f"{rate_name} %")
    with name_file(path):
        figure.savefig(path)
