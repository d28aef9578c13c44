"""Pictures of trainings and of figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asr.output.plots.figure import picture

Point = tuple[Mapping[str, float], float]
"""Weights of a search by name, and the error rate that they give, as a fraction."""
Curve = tuple[Sequence[float], Sequence[float]]
"""Epochs and values."""


def plot_tuning(path: str | Path, best: Point, trials: Sequence[Point], rate_name: str) -> None:
    """Plot the error rate against each weight, with the other weights at their best.

    Args:
        path: of the picture, .png, .svg or .pdf.
        best: the best trial, marked in black.
        trials: all trials.
        rate_name: "WER", "PER" …, for the axis.
    """
    weights, rate = best
    names = [name for name in weights if len({trial[name] for trial, _ in trials}) > 1]
    with picture(path, 4 * max(len(names), 1), 3.2) as figure:
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


def plot_curves(path: str | Path, runs: Mapping[str, Mapping[str, Curve]]) -> None:
    """Plot learning curves of runs side by side: a panel for each figure, a color for each run.

    Args:
        path: of the picture, .png, .svg or .pdf.
        runs: for each run its curves by the name of the figure. The loss of training is drawn dashed, in the panel of
            that of dev data; error rates are fractions, drawn in percent.
    """
    names = list(dict.fromkeys(name for curves in runs.values() for name in curves if name != "train loss"))
    names = sorted(names or ["loss"], key=lambda name: name != "loss")
    with picture(path, 4.6 * len(names) + 0.4, 3.8) as figure:
        panels = figure.subplots(1, len(names), squeeze=False)[0]
        for axes, name in zip(panels, names, strict=True):
            percent = 1.0 if name in ("loss", "lr", "gradient norm") else 100.0
            for number, (run, curves) in enumerate(runs.items()):
                color = f"C{number % 10}"
                dashed = "--" if number >= 10 else "-"
                if name in curves:
                    epochs, values = curves[name]
                    marker = "o" if len(values) == 1 else None
                    axes.plot(epochs, percent * np.asarray(values), dashed, color=color, label=run, marker=marker)
                if name == "loss" and "train loss" in curves:
                    axes.plot(*curves["train loss"], ":", color=color, lw=1)
            axes.set(xlabel="epoch", ylabel=name if percent == 1 else f"{name} %")
            axes.xaxis.get_major_locator().set_params(integer=True)  # no tick at epoch 1.25
            if name in ("loss", "gradient norm") and all(
                v > 0 for c in runs.values() for v in c.get(name, ((), ()))[1]
            ):
                axes.set_yscale("log")
            axes.grid(alpha=0.3)
        if names[0] == "loss":
            panels[0].set_title("dev, and training (dotted)", loc="left")
        panels[0].legend(fontsize=8)


def plot_confusion(path: str | Path, counts: np.ndarray, labels: Sequence[str], title: str) -> None:
    """Plot a confusion matrix: what each label of the references was recognized as, in shares of its occurrences.

    Args:
        path: of the picture, .png, .svg or .pdf.
        counts: (L + 1, L + 1), rows references, columns hypotheses; the last row has insertions, the last column
            deletions.
        labels: names of the L labels.
        title: above the picture.
    """
    from matplotlib.colors import PowerNorm

    totals = counts.sum(1, keepdims=True)
    totals[-1] = max(int(counts[:-1].sum()), 1)  # insertions: of all labels
    shares = 100 * counts / np.maximum(totals, 1)
    size = 2.2 + 0.2 * len(labels)
    with picture(path, size + 0.8, size) as figure:
        axes = figure.subplots()
        image = axes.imshow(shares, cmap="magma_r", norm=PowerNorm(0.4, 0, 100), interpolation="nearest")
        places = range(len(labels) + 1)
        axes.set_xticks(places, [*labels, "deleted"], rotation=90, fontsize=8)
        axes.set_yticks(places, [*labels, "inserted"], fontsize=8)
        axes.set(xlabel="recognized", ylabel="spoken", title=title)
        axes.axhline(len(labels) - 0.5, color="gray", lw=0.6)
        axes.axvline(len(labels) - 0.5, color="gray", lw=0.6)
        if len(labels) <= 60:
            for row, column in zip(*np.nonzero(shares >= 4.5), strict=True):
                color = "white" if shares[row, column] > 35 else "black"
                axes.text(column, row, f"{shares[row, column]:.0f}", ha="center", va="center", color=color, fontsize=6)
        figure.colorbar(image, ax=axes, label="% of the spoken", shrink=0.6, ticks=[1, 5, 10, 25, 50, 100])


def plot_gradient_flow(path: str | Path, norms: Mapping[str, np.ndarray], title: str) -> None:
    """Plot how far the gradient of a loss at the last step reaches back, a panel for each layer.

    Args:
        path: of the picture, .png, .svg or .pdf.
        norms: (L, T) of ∂loss/∂h by the name of a cell.
        title: above the picture.
    """
    layers = max(len(values) for values in norms.values())
    with picture(path, 1.6 + 4.6 * layers, 3.8) as figure:
        panels = figure.subplots(1, layers, squeeze=False, sharey=True)[0]
        for layer, axes in enumerate(panels):
            for number, (name, values) in enumerate(norms.items()):
                row = values[layer] / (values[layer, -1] or 1.0)
                steps = np.arange(len(row)) - len(row) + 1
                style = ("-", "--", ":")[number % 3]  # lines that lie on one another are seen
                axes.plot(steps, np.where(row > 0, row, np.nan), style, color=f"C{number % 10}", label=name)
            axes.set(xlabel="steps before the loss", yscale="log", title=f"layer {layer + 1}" if layers > 1 else "")
            axes.set_ylim(bottom=max(axes.get_ylim()[0], 1e-20))
            axes.grid(alpha=0.3)
        panels[0].set_ylabel("‖∂loss/∂h‖, 1 at the last step")
        panels[-1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        figure.suptitle(title, fontsize=10)
