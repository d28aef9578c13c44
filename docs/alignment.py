"""Draw docs/alignment.png: the spectrogram of a recording, the CTC outputs, and the word times of ``asr align``.

python docs/alignment.py runs/demo recipes/digits/data/example-2.opus docs/alignment.png
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import librosa
import numpy as np
import torch
from matplotlib.figure import Figure

from asr import audio
from asr.models import directory, store
from asr.tasks.ctc import CTCTask


def main() -> None:
    """Draw the picture that the command line names."""
    model, recording, picture = sys.argv[1:]
    task = store.load(directory.find(model), CTCTask)
    rate = task.features.sample_rate
    waveform = audio.read(recording, rate)
    with torch.inference_mode():
        scores, _ = task(torch.from_numpy(waveform)[None], torch.tensor([len(waveform)]), [task.primary])
    probs = scores[task.primary][0].exp().numpy()  # (T, V)
    vocabulary = task.vocabularies[task.primary]
    text = Path(recording).with_suffix(".txt")
    command = [
        sys.executable,
        "-c",
        "from asr.cli import main; main()",
        "align",
        recording,
        str(text),
        "--model",
        model,
        "--format",
        "json",
    ]
    words = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["words"]

    figure = Figure(figsize=(9, 4.2), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    mel = librosa.feature.melspectrogram(y=waveform, sr=rate, n_fft=512, hop_length=160, n_mels=64)
    librosa.display.specshow(
        librosa.power_to_db(mel, ref=np.max), sr=rate, hop_length=160, x_axis="time", y_axis="mel", cmap="magma", ax=top
    )
    top.set(xlabel="", ylabel="Hz")
    top.label_outer()
    times = (np.arange(len(probs)) + 0.5) * task.frame_seconds
    for label in np.flatnonzero(probs.max(0) > 0.3):
        is_blank = label == vocabulary.blank
        name = "blank" if is_blank else vocabulary.tokens[label].replace("▁", "")
        (line,) = bottom.plot(times, probs[:, label], color="lightgray" if is_blank else None, label=name)
        if not is_blank:
            padded = np.pad(probs[:, label], 1)
            for peak in np.flatnonzero(
                (padded[1:-1] > 0.3) & (padded[1:-1] > padded[:-2]) & (padded[1:-1] >= padded[2:])
            ):
                bottom.annotate(name, (times[peak], 1.03), ha="center", color=line.get_color())
    for word in words:
        for axes in (top, bottom):
            axes.axvspan(word["start"], word["end"], color="tab:blue", alpha=0.12, lw=0)
        top.annotate(
            word["text"], ((word["start"] + word["end"]) / 2, 5500), ha="center", color="white", fontweight="bold"
        )
    bottom.set(xlabel="seconds", ylabel="probability", ylim=(0, 1.2), xlim=(0, len(waveform) / rate))
    figure.savefig(picture, dpi=80)


if __name__ == "__main__":
    main()
