"""A loaded classifier: files and arrays, and words detected in long recordings of tones with silences between."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asr.errors import InputError
from asr.inference import classifier, detection
from asr.inference.classifier import Classifier
from asr.inference.detection import Detection

RATE = 8000
WORDS = ("ab", "c d", "hgf")


@pytest.fixture(scope="module")
def loaded(class_run: Path) -> Classifier:
    return Classifier.load(class_run)


@pytest.fixture(scope="module")
def sentence(tones: Callable[..., np.ndarray]) -> tuple[np.ndarray, list[Detection]]:
    """Twelve words with silences of 0.4 to 1 s before and behind them; what was said when."""
    rng = np.random.default_rng(5)
    parts, truth, position = [], [], 0
    for number in range(12):
        pause = rng.normal(0, 0.003, int(rng.uniform(0.4, 1) * RATE))
        word = WORDS[number % 3]
        said = tones(word, 100 + number)
        parts += [pause, said]
        start = position + len(pause)
        position = start + len(said)
        truth.append(Detection(word, (start + 400) / RATE, (position - 400) / RATE, 1.0))  # tones has quiet edges
    return np.concatenate([*parts, rng.normal(0, 0.003, RATE // 2)]).astype(np.float32), truth


# -- classes of whole files


def test_files_arrays_and_other_rates(loaded: Classifier, class_run: Path, tones: Any) -> None:
    file = class_run / "corpus" / "train2.wav"
    ranking = loaded.classify(file)
    assert ranking[0][0] == "hgf" and {name for name, _ in ranking} == set(WORDS) == set(loaded.classes)
    probabilities = [probability for _, probability in ranking]
    assert probabilities == sorted(probabilities, reverse=True) and sum(probabilities) == pytest.approx(1, abs=1e-5)
    assert loaded.classify(tones("c d", 77))[0][0] == "c d"
    twice = np.repeat(tones("ab", 78), 2)
    assert loaded.classify(np.stack([twice, twice]), 2 * RATE)[0][0] == "ab"


def test_many_sources_in_small_batches(loaded: Classifier, class_run: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_text("no audio")
    files = [class_run / "corpus" / f"train{number}.wav" for number in range(7)]
    sources: list[Any] = [*files[:3], tmp_path / "bad.wav", *files[3:]]
    small = Classifier(loaded.task, batch_seconds=1.0)
    found = dict(small.classify_all(sources))
    assert sorted(found) == list(range(8))
    error = found.pop(3)
    assert isinstance(error, InputError) and "bad.wav" in str(error)
    for (_, ranking), file in zip(sorted(found.items()), files, strict=True):
        assert not isinstance(ranking, InputError)
        assert dict(ranking) == pytest.approx(dict(loaded.classify(file)), abs=1e-5)


def test_what_cannot_be_classified(
    loaded: Classifier, tone_run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="a speech recognizer; a classifier is needed"):
        Classifier.load(tone_run)
    with pytest.raises(InputError, match="must be of floats"):
        loaded.classify(np.zeros(100, np.int16))
    with pytest.raises(InputError, match=r"nothing\.wav"):
        loaded.classify(tmp_path / "nothing.wav")
    monkeypatch.setattr(classifier, "MAX_SECONDS", 2.0)
    with pytest.raises(InputError, match="the recording: longer than 2 s; detect words in it"):
        loaded.classify(np.zeros(3 * RATE, np.float32))


# -- the detector


def check(found: list[Detection], truth: list[Detection]) -> None:
    assert [one.word for one in found] == [one.word for one in truth]
    for one, true in zip(found, truth, strict=True):
        assert abs(one.start - true.start) < 0.05 and abs(one.end - true.end) < 0.05 and one.probability >= 0.5


def test_words_are_found_where_they_are(loaded: Classifier, sentence: Any, tmp_path: Path) -> None:
    waveform, truth = sentence
    assert loaded.window == pytest.approx(0.4, abs=0.15)  # the training utterances' mean
    check(list(loaded.detect(waveform)), truth)
    soundfile.write(tmp_path / "long.wav", waveform, RATE)
    check(list(loaded.detect(tmp_path / "long.wav")), truth)


def test_blocks_do_not_matter(
    loaded: Classifier, sentence: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    waveform, _ = sentence
    whole = list(loaded.detect(waveform))
    for size in (777, 4001):
        pieces = [waveform[first : first + size] for first in range(0, len(waveform), size)]
        monkeypatch.setattr(classifier, "read_blocks", lambda source, features, pieces=pieces: iter(pieces))
        found = list(loaded.detect(waveform))
        assert [(one.word, one.start, one.end) for one in found] == [(one.word, one.start, one.end) for one in whole]


def test_many_recordings(loaded: Classifier, sentence: Any, tmp_path: Path) -> None:
    waveform, truth = sentence
    results = dict(loaded.detect_all([waveform, tmp_path / "none.wav", waveform]))
    for index in (0, 2):
        detections = results[index]
        assert not isinstance(detections, InputError)
        check(detections, truth)
    assert isinstance(results[1], InputError) and "none.wav" in str(results[1])


def test_words_without_a_gap_are_found_by_windows(loaded: Classifier, tones: Any) -> None:
    words = ["ab", "hgf", "c d", "ab", "hgf"]
    said = [tones(word, 300 + number) for number, word in enumerate(words)]  # 0.08 s of quiet between them
    ends = 1 + np.cumsum([len(samples) / RATE for samples in said])
    silence = np.zeros(RATE, np.float32)
    found = list(loaded.detect(np.concatenate([silence, *said, silence]), hop=0.02, threshold=0.4))
    assert len(found) >= 3
    for one in found:
        assert one.word == words[int(np.searchsorted(ends, (one.start + one.end) / 2))]
    assert all(other.start > one.end - 0.5 * loaded.window for one, other in pairwise(found))


def test_threshold_silence_and_underscores(loaded: Classifier, sentence: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    waveform, truth = sentence
    assert not list(loaded.detect(waveform, threshold=1.0))
    noise = np.random.default_rng(0).normal(0, 0.003, 3 * RATE).astype(np.float32)
    assert not list(loaded.detect(noise)) and not list(loaded.detect(np.zeros(100, np.float32)))
    monkeypatch.setattr(Classifier, "classes", ("ab", "_unknown_", "hgf"))
    check(list(loaded.detect(waveform)), [one for one in truth if one.word != "c d"])


def test_bad_settings_and_sources(loaded: Classifier, tmp_path: Path) -> None:
    audio = np.zeros(RATE, np.float32)
    with pytest.raises(InputError, match=r"window=0, hop=0"):
        list(loaded.detect(audio, window=0.0))
    with pytest.raises(InputError, match="hop=nan"):
        list(loaded.detect(audio, hop=float("nan")))
    with pytest.raises(InputError, match=r"threshold=1\.5"):
        list(loaded.detect(audio, threshold=1.5))
    (tmp_path / "bad.wav").write_text("no audio")
    with pytest.raises(InputError, match=r"bad\.wav"):
        list(loaded.detect(tmp_path / "bad.wav"))


def test_the_level_of_speech() -> None:
    quiet, loud = np.full((900, 80), 1e-3), np.full((100, 80), 0.1)  # -60 and -20 dB
    assert detection.speech_level([quiet, loud]) == pytest.approx(-60 + detection.THRESHOLD_FRACTION * 40, abs=1)
    digital = np.zeros((900, 80))
    assert detection.speech_level([digital, loud]) == pytest.approx(-80 + detection.THRESHOLD_FRACTION * 60, abs=1)
    assert detection.speech_level([quiet]) is None and detection.speech_level([]) is None


def test_a_stretch_that_does_not_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detection, "MAX_SEGMENT_SECONDS", 1.0)
    blocks = [np.full((40, 80), 0.1)] * 6
    found = list(detection.speech_segments(blocks, -40.0))
    assert [(one.first, one.end, one.margin) for one in found] == [(0, 120, 0), (120, 240, 0)]
    assert [len(one.samples) for one in found] == [120 * 80, 120 * 80]


def test_of_overlapping_words_the_likeliest_is_kept() -> None:
    a, b, c = Detection("a", 0, 1, 0.6), Detection("b", 0.5, 1.5, 0.9), Detection("c", 1.4, 2.4, 0.7)
    assert detection.suppress_overlaps([a, b, c]) == [b, c]
    assert detection.suppress_overlaps([]) == []
    assert detection.window_spans(100, 60, 20) == [(0, 100)]
    assert detection.window_spans(150, 60, 40) == [(0, 60), (40, 100), (80, 140), (90, 150)]


# -- recordings without any signal


@pytest.mark.parametrize("dbfs", [None, -85])
def test_what_has_no_signal_is_no_word(
    loaded: Classifier, tones: Any, monkeypatch: pytest.MonkeyPatch, dbfs: float | None
) -> None:
    rng = np.random.default_rng(0)
    quiet = np.zeros(RATE, np.float32) if dbfs is None else rng.normal(0, 10 ** (dbfs / 20), RATE).astype(np.float32)
    assert loaded.classify(quiet) == [] and loaded.classify(quiet + np.float32(0.25)) == []
    results = dict(loaded.classify_all([quiet, tones("ab", 77), 1e-3 * quiet]))
    assert results[0] == results[2] == [] and results[1][0][0] == "ab"  # type: ignore[index]
    monkeypatch.setattr(Classifier, "classes", ("_silence_", "_unknown_", "hgf"))
    assert {name for name, _ in loaded.classify(quiet)} == {"_silence_", "_unknown_"}


def test_noise_that_is_no_signal_has_no_words(loaded: Classifier) -> None:
    quiet = np.random.default_rng(0).normal(0, 10 ** (-85 / 20), RATE).astype(np.float32)
    zeros = np.zeros(RATE, np.float32)
    recording = np.concatenate([zeros, quiet, zeros, quiet, zeros])  # bursts, which are 35 dB above digital silence
    assert list(loaded.detect(recording)) == []
    assert list(loaded.detect(1000 * recording, threshold=0.0))
