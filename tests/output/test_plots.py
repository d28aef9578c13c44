"""Pictures of transcripts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asr.output.plots import plot_transcript, spectrogram
from asr.output.transcript import Transcript, Word


def test_a_tone_is_where_it_sounds() -> None:
    tone = np.sin(2 * np.pi * 2000 * np.arange(8000) / 8000) * (np.arange(8000) >= 4000)
    decibels = spectrogram(tone.astype(np.float32), 8000)
    assert decibels.shape == (200, 101) and decibels.max() == 0.0
    loud = decibels.max(1) > -20
    assert loud[103:].all() and not loud[:97].any()  # windows of 25 ms, every 5 ms, around their time
    assert (decibels[120:180].argmax(1) == 50).all()  # of 0 to 4000 Hz


@pytest.mark.parametrize("words", [(), (Word("one", 0.1, 0.3, 0.9), Word("two", 0.4, 0.9, 0.0))])
def test_a_picture_of_a_transcript(words: tuple[Word, ...], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "words.svg"
    plot_transcript(path, np.zeros(8000, dtype=np.float32), 8000, Transcript("", words, duration=1.0))
    assert path.read_text(encoding="utf-8").startswith("<?xml")
