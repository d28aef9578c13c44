"""Plots of results, drawn with matplotlib (an extra of the installation)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asr.output.transcript import Transcript
from asr.utils.atomic import name_file

Point = tuple[Mapping[str, float], float]
"""Weights of a search by name, and the error rate that they give, as a fraction."""
WINDOW_SECONDS, HOP_SECONDS, RANGE_DB = 0.025, 0.005, 70.0  # of spectrograms


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


def plot_transcript(path: str | Path, waveform: np.ndarray, sample_rate: int, transcript: Transcript) -> None:
    """Plot the spectrogram of a recording and its words, each under its time and as dark as it is sure.

    Args:
        path: of the picture; the extension (.png, .svg, .pdf) chooses the format.
        waveform: (S,) samples.
        sample_rate: in Hz.
        transcript: the words with their times in seconds and their confidences.
    """
    from matplotlib.figure import Figure

    seconds = len(waveform) / sample_rate
    figure = Figure(figsize=(max(4.0, 1.1 * seconds), 3.2), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    top.imshow(
        spectrogram(waveform, sample_rate).T,
        origin="lower",
        aspect="auto",
        cmap="magma",
        extent=(0.0, seconds, 0.0, sample_rate / 2000),
        vmin=-RANGE_DB,
        vmax=0.0,
    )
    top.set_ylabel("kHz")
    top.label_outer()
    for number, word in enumerate(transcript.words):
        shade = 0.25 + 0.75 * word.confidence
        for edge in (word.start, word.end):
            top.axvline(edge, color="white", alpha=0.4, lw=0.6)
        bottom.axvspan(word.start, word.end, color="tab:blue", alpha=0.15, lw=0)
        height = 0.8 - 0.3 * (number % 3)  # neighbors in three rows, as short words have less room than their letters
        bottom.text((word.start + word.end) / 2, height, word.text, ha="center", va="center", alpha=shade)
    bottom.set(xlabel="seconds", xlim=(0.0, seconds), ylim=(0.0, 1.0), yticks=[])
    with name_file(path):
        figure.savefig(path, dpi=80)


def spectrogram(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return the power (T, F) of a waveform (S,) in decibels relative to its largest, of Hann windows of 25 ms."""
    size, hop = round(WINDOW_SECONDS * sample_rate), round(HOP_SECONDS * sample_rate)
    padded = np.pad(waveform.astype(np.float64), (size // 2, size))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[: len(waveform) : hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(size))) ** 2
    return 10 * np.log10(np.maximum(power, 1e-12) / max(float(power.max()), 1e-12))
