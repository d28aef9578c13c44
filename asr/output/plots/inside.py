"""Pictures of what a recognizer does with one recording, all over the same axis of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asr.output.plots.figure import picture
from asr.output.transcript import Word

MEL_BANDS, HOP_SECONDS, RANGE_DB = 64, 0.01, 70.0  # of spectrograms
WORD_ROWS = 3  # neighbors in several rows, as short words have less room than their letters
MIN_SPIKE = 0.3  # labels that are never as probable are not drawn
MAX_TICKS = 60  # labels beside an axis


@dataclass(frozen=True)
class Sound:
    """A recording and the words in it.

    Attributes:
        values: (S,) samples, or (T, F) features where there is no waveform.
        rate: samples or features in a second.
        words: with their times in seconds and their confidences.
    """

    values: np.ndarray
    rate: float
    words: Sequence[Word] = ()

    @property
    def seconds(self) -> float:
        """Duration."""
        return len(self.values) / self.rate


def plot_spikes(path: str | Path, sound: Sound, probs: np.ndarray, labels: Sequence[str], blank: int) -> None:
    """Plot the spectrogram and the words of a recording, and below the probabilities of the labels.

    Args:
        path: of the picture, .png, .svg or .pdf.
        sound: the recording.
        probs: (T', V) from its begin to its end.
        labels: names of the V labels.
        blank: the label that is drawn in gray.
    """
    with picture(path, _width(sound, 1.7), 4.8) as figure:
        _, spikes = _axes_below_sound(figure, sound, [1.5])
        times = _centers(probs, sound)
        spikes.fill_between(times, probs[:, blank], color="lightgray", lw=0, label="blank")
        colors = _colors()
        drawn = [label for label in np.flatnonzero(probs.max(0, initial=0.0) > MIN_SPIKE).tolist() if label != blank]
        peaks: list[tuple[int, int, Any]] = []
        for number, label in enumerate(drawn):
            own, color = probs[:, label], colors[number % len(colors)]
            spikes.plot(times, own, color=color, lw=1.2)
            padded = np.pad(own, 1)
            rises, falls = padded[1:-1] > padded[:-2], padded[1:-1] >= padded[2:]
            peaks += [(t, label, color) for t in np.flatnonzero((own > MIN_SPIKE) & rises & falls).tolist()]
        peaks.sort(key=lambda peak: peak[0])
        rows = free_rows([times[t] for t, *_ in peaks], [len(labels[label]) for _, label, _ in peaks], 1.7)
        for (t, label, color), row in zip(peaks, rows, strict=True):
            height = 1.05 + 0.15 * row
            spikes.text(times[t], height, labels[label], ha="center", va="bottom", color=color, fontsize=8)
        spikes.set(ylabel="probability", ylim=(0, 1.5), yticks=[0, 0.5, 1])


def plot_lattice(
    path: str | Path, sound: Sound, emissions: np.ndarray, labels: Sequence[str], places: Sequence[int]
) -> None:
    """Plot the spectrogram and the words of a recording, and below the path of a transducer through its lattice.

    Args:
        path: of the picture, .png, .svg or .pdf.
        sound: the recording.
        emissions: (T', U) probability of each label of the path in each frame, after those before it.
        labels: names of the U labels.
        places: (U,) frame in which each label is emitted.
    """
    with picture(path, _width(sound, 1.3), 5.2 + min(len(labels), MAX_TICKS) * 0.06) as figure:
        _, lattice = _axes_below_sound(figure, sound, [2.0])
        count = len(labels)
        image = lattice.imshow(
            emissions.T if count else np.zeros((1, 1)),
            origin="lower",
            aspect="auto",
            cmap="Greys",
            vmin=0,
            vmax=1,
            extent=(0, sound.seconds, -0.5, max(count, 1) - 0.5),
        )
        seconds = [(place + 0.5) * sound.seconds / max(len(emissions), 1) for place in places]
        lattice.step([0.0, *seconds, sound.seconds], [-0.5, *(np.arange(count) + 0.5), count - 0.5], where="post")
        lattice.plot(seconds, np.arange(count), "o", ms=3.5, color="tab:red")
        every = max(1, -(-count // MAX_TICKS))
        lattice.set_yticks(range(0, count, every), list(labels)[::every], fontsize=8)
        lattice.set(ylabel="labels emitted", ylim=(-0.5, max(count, 1) - 0.5))
        figure.colorbar(image, ax=lattice, label="probability", pad=0.01)


def plot_sensitivity(path: str | Path, sound: Sound, gradient: np.ndarray, label: str, seconds: float) -> None:
    """Plot the derivative of one output by the input frames (Graves et al. 2013, figure 3).

    Args:
        path: of the picture, .png, .svg or .pdf.
        sound: the recording.
        gradient: (T, F) derivative by the features.
        label: name of the output.
        seconds: its time.
    """
    with picture(path, _width(sound, 1.3), 5.6) as figure:
        top, heat, line = _axes_below_sound(figure, sound, [2.0, 0.9])
        limit = float(np.abs(gradient).max(initial=0.0)) or 1.0
        heat.imshow(
            gradient.T / limit,
            origin="lower",
            aspect="auto",
            cmap="RdBu_r",
            vmin=-1,
            vmax=1,
            extent=(0, sound.seconds, 0, gradient.shape[1]),
        )
        heat.set_ylabel("feature")
        norms = np.linalg.norm(gradient, axis=1)
        norms = norms / (norms.max(initial=0.0) or 1.0)
        line.fill_between(_centers(gradient, sound), norms, color="tab:purple", alpha=0.4, lw=0)
        line.set(ylabel="norm", ylim=(0, 1.05), yticks=[0, 1])
        for axes in (top, heat, line):
            axes.axvline(seconds, color="black" if axes is not top else "white", lw=1, ls="--")
        heat.set_title(f"∂ log p({label}) / ∂ input, at {seconds:.2f} s: red raises it, blue lowers it", loc="left")


def plot_gates(path: str | Path, sound: Sound, activations: Mapping[str, np.ndarray], title: str) -> None:
    """Plot gates, cell and output of a layer over time, a row of pixels for each unit.

    Args:
        path: of the picture, .png, .svg or .pdf.
        sound: the recording.
        activations: (T', H) by name; gates are from 0 to 1, what else there is has both signs. Units are sorted by the
            mean of the gate that keeps the state, so that those that remember longest are on top.
        title: what layer it is.
    """
    keeping = next((activations[name] for name in ("forget gate", "update gate") if name in activations), None)
    values = {name: value for name, value in activations.items() if name not in ("candidate", "cell")}
    if "cell" in activations:  # as the output gate sees it: some cells count up to hundreds
        *gates, output = values
        values = {name: values[name] for name in gates} | {"tanh(cell)": np.tanh(activations["cell"])}
        values[output] = activations[output]
    order = np.argsort(next(reversed(values.values())).var(0) if keeping is None else keeping.mean(0))
    with picture(path, _width(sound, 1.3), 2.6 + 1.5 * len(values)) as figure:
        _, *panels = _axes_below_sound(figure, sound, [1.0] * len(values))
        for axes, (name, value) in zip(panels, values.items(), strict=True):
            is_gate = name.endswith("gate")
            limit = 1.0 if is_gate else float(np.abs(value).max(initial=0.0)) or 1.0
            image = axes.imshow(
                value[:, order].T,
                origin="lower",
                aspect="auto",
                interpolation="nearest",
                cmap="viridis" if is_gate else "RdBu_r",
                vmin=0 if is_gate else -limit,
                vmax=limit,
                extent=(0, sound.seconds, 0, value.shape[1]),
            )
            axes.set(ylabel=name)
            figure.colorbar(image, ax=axes, pad=0.01)
        figure.suptitle(title, fontsize=10)


def plot_step_gradients(path: str | Path, sound: Sound, norms: Mapping[str, np.ndarray]) -> None:
    """Plot the norm of the gradient of the loss by the outputs of each layer, over the time of a recording.

    Args:
        path: of the picture, .png, .svg or .pdf.
        sound: the recording.
        norms: (T',) by the title of a layer; directions of a layer have titles that differ after a comma.
    """
    with picture(path, _width(sound, 1.3), 5.0) as figure:
        _, axes = _axes_below_sound(figure, sound, [2.0])
        colors = _colors()
        layers = list(dict.fromkeys(title.split(",")[0] for title in norms))
        for title, values in norms.items():
            layer, _, direction = title.partition(", ")
            color = colors[layers.index(layer) % len(colors)]
            positive = np.where(values > 0, values, np.nan)
            axes.plot(_centers(values, sound), positive, color=color, lw=1.2, label=title)
            if direction == "backward":
                axes.lines[-1].set_linestyle("--")
        axes.set(ylabel="‖∂loss/∂h‖", yscale="log")
        axes.legend(ncols=2, fontsize=8)


def free_rows(seconds: Sequence[float], lengths: Sequence[int], inches: float, rows: int = 3) -> list[int]:
    """Choose rows for texts above an axis of time, so that they do not overlap; the lowest that is free.

    Args:
        seconds: middle of each text, in order.
        lengths: letters of each.
        inches: width of a second.
        rows: number of rows.
    """
    ends = [-np.inf] * rows
    chosen = []
    for middle, length in zip(seconds, lengths, strict=True):
        half = (0.035 * length + 0.03) / inches
        row = next((row for row in range(rows) if ends[row] <= middle - half), int(np.argmin(ends)))
        ends[row] = middle + half
        chosen.append(row)
    return chosen


def draw_words(axes: Any, words: Sequence[Word]) -> None:
    """Draw words under their times, as dark as they are sure."""
    for number, word in enumerate(words):
        axes.axvspan(word.start, word.end, color="tab:blue", alpha=0.15, lw=0)
        height = 1 - (number % WORD_ROWS + 0.5) / WORD_ROWS
        shade = 0.35 + 0.65 * min(max(word.confidence, 0.0), 1.0)
        axes.text((word.start + word.end) / 2, height, word.text, ha="center", va="center", alpha=shade)
    axes.set(ylim=(0, 1), yticks=[])
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(bottom=False)


def draw_spectrogram(axes: Any, sound: Sound) -> None:
    """Draw the mel spectrogram of a waveform, or features."""
    if sound.values.ndim == 2:
        axes.imshow(
            sound.values.T,
            origin="lower",
            aspect="auto",
            cmap="magma",
            extent=(0, sound.seconds, 0, sound.values.shape[1]),
        )
        axes.set_ylabel("feature")
        return
    import librosa

    rate = round(sound.rate)
    hop = round(HOP_SECONDS * rate)
    size = 1 << (round(0.032 * rate) - 1).bit_length()
    waveform = np.pad(sound.values, (0, max(0, size - len(sound.values))))
    bands = min(MEL_BANDS, size // 6)  # narrower ones would be empty
    power = librosa.feature.melspectrogram(y=waveform, sr=rate, n_fft=size, hop_length=hop, n_mels=bands)
    decibels = librosa.power_to_db(power, ref=np.max, top_db=RANGE_DB)
    librosa.display.specshow(decibels, sr=rate, hop_length=hop, x_axis="time", y_axis="mel", cmap="magma", ax=axes)
    axes.set(xlabel="", ylabel="Hz")


def _axes_below_sound(figure: Any, sound: Sound, heights: Sequence[float]) -> list[Any]:
    """Return the axes of a spectrogram with its words above it, drawn, and below it axes of relative ``heights``."""
    rows = figure.subplots(2 + len(heights), 1, sharex=True, height_ratios=[0.7, 1.8, *heights])
    words, top, *below = rows
    draw_words(words, sound.words)
    draw_spectrogram(top, sound)
    for word in sound.words:
        for edge in (word.start, word.end):
            top.axvline(edge, color="white", alpha=0.35, lw=0.6)
    for axes in rows[:-1]:
        axes.label_outer()
    below[-1].set(xlabel="seconds", xlim=(0.0, max(sound.seconds, 1e-3)))
    return [top, *below]


def _centers(frames: np.ndarray, sound: Sound) -> np.ndarray:
    """Return the middle of each of the frames of a recording, in seconds."""
    return (np.arange(len(frames)) + 0.5) * sound.seconds / max(len(frames), 1)


def _width(sound: Sound, inches: float) -> float:
    """Return the width of a picture in inches, of which a second takes ``inches``."""
    return min(max(7.0, 1.2 + inches * sound.seconds), 40.0)


def _colors() -> list[Any]:
    import matplotlib

    return [color for n, color in enumerate(matplotlib.color_sequences["tab10"]) if n != 7]  # gray is the blank's
