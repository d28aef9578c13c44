"""Speech without transcripts: which parts of which files, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.data import untranscribed
from asr.data.speech_dataset import SpeechDataset
from asr.errors import InputError
from asr.text.vocabulary import Vocabulary

RATE = 8000


def test_long_recordings_come_in_parts(tmp_path: Path) -> None:
    (tmp_path / "deeper").mkdir()
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 50 * RATE).astype(np.float32)
    soundfile.write(tmp_path / "long.wav", samples, RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "deeper" / "short.flac", samples[:RATE], RATE)
    (tmp_path / "short.txt").write_text("not looked at")
    cuts = untranscribed.read([tmp_path])
    assert [round(cut.duration, 2) for cut in cuts] == [1.0, 16.67, 16.67, 16.67]
    assert len({cut.id for cut in cuts}) == 4
    data = SpeechDataset(cuts, {"text": Vocabulary.characters("ab")}, RATE)
    assert [labels["text"] for labels in data.labels] == [None] * 4
    whole = np.concatenate([data[index].inputs.numpy() for index in (1, 2, 3)])
    assert len(whole) == len(samples)
    np.testing.assert_allclose(whole, samples, atol=1 / 32768)


def test_a_folder_with_audio_is_needed(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(InputError, match=rf"data.untranscribed: {path}: not a folder with audio files"):
            untranscribed.read([path])
    assert untranscribed.read([]) == []
