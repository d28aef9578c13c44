"""Transcribing files and arrays: batches and singles, what is refused."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
import torch
from recognizers import assert_same, frame_local, with_windows

import asr
from asr import audio
from asr.errors import AudioError, InputError
from asr.features import Precomputed
from asr.inference.decoders.greedy import GreedyDecoder, GreedySearch
from asr.inference.recognizer import Recognizer
from asr.metrics.calibration import calibrate, collect_evidence
from asr.output.transcript import Transcript

RATE = 8000


# -- files, streams, arrays


def test_what_was_learnt_is_transcribed(trained: Recognizer, tone_run: Path, tone_texts: Any) -> None:
    for i, text in enumerate(tone_texts(8)):
        path = tone_run / "corpus" / f"train{i}.wav"
        found = trained.transcribe(path)
        assert found.text == text == " ".join(word.text for word in found.words)
        assert found.source == str(path)
        assert found.duration == pytest.approx(soundfile.info(path).duration, abs=0.05)
        assert found.confidence is not None and 0.5 < found.confidence <= 1
        ends = [time for word in found.words for time in (word.start, word.end)]
        assert ends == sorted(ends) and ends[0] > 0 and ends[-1] <= found.duration
        # every letter takes 0.1 s, so words begin where the texts say, to within two letters
        assert found.words[-1].start == pytest.approx(0.05 + 0.105 * text.rfind(" "), abs=0.2) or len(found.words) == 1


def test_a_path_a_stream_and_an_array_are_the_same(trained: Recognizer, tone_run: Path) -> None:
    path = tone_run / "corpus" / "train0.wav"
    expected = trained.transcribe(path)
    assert_same(trained.transcribe(str(path)), expected)
    assert_same(trained.transcribe(io.BytesIO(path.read_bytes())), expected)
    samples, _ = soundfile.read(path, dtype="float32")
    assert_same(trained.transcribe(samples), expected)
    assert_same(trained.transcribe(samples.astype(np.float64), RATE), expected)
    assert trained.transcribe(samples).source == ""


def test_a_batch_gives_what_singles_give(trained: Recognizer, tone_run: Path) -> None:
    paths = [tone_run / "corpus" / f"train{i}.wav" for i in range(8)]
    singles = [trained.transcribe(path) for path in paths]
    for seconds in (0.1, 2.0, 240.0):
        trained.batch_seconds = seconds
        found = dict(trained.transcribe_all(paths))
        trained.batch_seconds = 240.0
        assert sorted(found) == list(range(8))
        for index, expected in enumerate(singles):
            result = found[index]
            assert isinstance(result, Transcript)
            assert_same(result, expected)


def test_batches_keep_within_their_seconds(trained: Recognizer) -> None:
    arrays = [np.zeros(n, np.float32) for n in (8000, 100, 16000, 4000, 4000, 40000, 50)]
    trained.batch_seconds = 2.5
    batches = [batch for batch in trained._batches(arrays) if isinstance(batch, list)]
    trained.batch_seconds = 240.0
    assert [window.source for batch in batches for window in batch] == list(range(7))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(len(window.inputs) for window in batch) <= 2.5 * RATE
    assert len(batches) < 7


def test_one_that_cannot_be_read_does_not_stop_the_others(trained: Recognizer, tone_run: Path, tmp_path: Path) -> None:
    good = tone_run / "corpus" / "train0.wav"
    (tmp_path / "bad.wav").write_text("this is text")
    found = dict(trained.transcribe_all([good, tmp_path / "none.wav", good, tmp_path / "bad.wav", np.zeros(9)]))
    assert [isinstance(found[i], Transcript) for i in range(5)] == [True, False, True, False, True]
    assert isinstance(found[1], AudioError) and "none.wav" in str(found[1])
    assert isinstance(found[3], AudioError) and "bad.wav" in str(found[3])
    with pytest.raises(AudioError, match=r"none\.wav"):
        trained.transcribe(tmp_path / "none.wav")


def test_damage_that_is_met_late_takes_nothing_else_along(
    trained: Recognizer, tone_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = tone_run / "corpus" / "train0.wav"
    stream = audio.stream

    def damaged(source: Any, rate: int) -> Iterator[np.ndarray]:
        if source != "damaged":
            yield from stream(source, rate)
            return
        for _ in range(5):
            yield np.zeros(RATE, np.float32)
        raise AudioError("damaged: cut short")

    monkeypatch.setattr(audio, "stream", damaged)
    with_windows(monkeypatch, 1.0, 0.2)
    found = dict(trained.transcribe_all([good, "damaged", good]))
    assert str(found[1]) == "damaged: cut short"
    assert isinstance(found[0], Transcript) and found[0].text == getattr(found[2], "text", None)


def test_a_search_that_fails_is_reported_once(trained: Recognizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if the same recording turns out to be damaged later."""

    class Failing(GreedySearch):
        def feed(self, frames: np.ndarray) -> None:
            if len(frames) == round(1.0 / trained.task.frame_seconds):  # a window that is not the last
                raise InputError("no path")
            super().feed(frames)

    def damaged(source: Any, rate: int) -> Iterator[np.ndarray]:
        for _ in range(8):
            yield np.zeros(RATE, np.float32)
        raise AudioError("damaged: cut short")

    monkeypatch.setattr(audio, "stream", damaged)
    monkeypatch.setattr(
        trained.decoder, "start", lambda pool: Failing(len(trained.vocabulary), trained.vocabulary.blank)
    )
    monkeypatch.setattr(trained, "batch_seconds", 1.0)
    with_windows(monkeypatch, 1.0, 0.2)
    results = list(trained.transcribe_all(["damaged", np.zeros(RATE, np.float32)]))
    assert [index for index, _ in results] == [0, 1]
    assert str(results[0][1]) == "damaged: no path" and isinstance(results[1][1], Transcript)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(100, np.int16), "not int16 .divide 16-bit by 32768"),
        (np.zeros((2, 100), np.int16), "not int16"),
        (np.zeros(100, complex), "not complex128"),
        (np.array(["a"]), "must be of floats"),
        (np.zeros(0), "must not be empty"),
        (np.zeros((2, 0)), "must not be empty"),
        (np.full(100, np.nan), "finite numbers"),
        (np.array([0.0, np.inf]), "finite numbers"),
        (np.zeros((2, 2, 100)), r"\(samples,\) or \(channels, samples\), not \(2, 2, 100\)"),
        (np.zeros((100, 2)), r"\(channels, samples\), not \(100, 2\)"),
        (np.array(0.5), "must have shape .samples"),
    ],
)
def test_arrays_that_are_no_waveform(trained: Recognizer, array: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        trained.transcribe(array)
    ((_, error),) = trained.transcribe_all([array])
    assert isinstance(error, InputError)


def test_channels_are_averaged_and_rates_converted(trained: Recognizer, tones: Any) -> None:
    samples = tones("abc fed", 3)
    expected = trained.transcribe(samples)
    stereo = np.stack([1.5 * samples, 0.5 * samples])
    assert trained.transcribe(stereo).text == expected.text
    faster = soxr.resample(samples, RATE, 22050)
    assert trained.transcribe(faster, 22050).text == expected.text
    assert trained.transcribe(faster).text != expected.text
    with pytest.raises(InputError, match="sample_rate=0"):
        trained.transcribe(samples, 0)


@pytest.mark.parametrize("samples", [1, 7, 100])
def test_hardly_any_sound_is_no_error(trained: Recognizer, samples: int) -> None:
    assert trained.transcribe(np.zeros(samples)).duration == samples / RATE


def test_a_model_of_features(tmp_path: Path) -> None:
    features = Precomputed(13, deltas=0, normalization="none")
    found = frame_local(features=features)
    values = np.random.default_rng(0).normal(size=(50, 13)).astype(">f4")
    file = tmp_path / "u.mfc"
    file.write_bytes(np.array(values.size, dtype=">i4").tobytes() + values.tobytes())
    expected = found.transcribe(values.astype(np.float32))
    assert_same(found.transcribe(file), expected)
    assert len(expected.words) > 1 and expected.duration == pytest.approx(0.5)
    with pytest.raises(InputError, match=r"features must have shape \(frames, 13\), not \(13, 50\)"):
        found.transcribe(values.T.astype(np.float32))
    with pytest.raises(InputError, match="not audio; give the path of a feature file"):
        found.transcribe(io.BytesIO(file.read_bytes()))
    with pytest.raises(InputError, match=r"none\.mfc"):
        found.transcribe(tmp_path / "none.mfc")
    with pytest.MonkeyPatch.context() as patch:
        with_windows(patch, 0.07, 0.02)
        assert_same(found.transcribe(file), expected)


def test_a_transcript_is_as_confident_as_its_words(trained: Recognizer, tones: Any) -> None:
    """On one scale: calibrated if the words are, and None if there is none."""
    samples = tones("abc fed", 3)
    calibrated = Recognizer(trained.task, decoder=GreedyDecoder(trained.vocabulary, calibration=[0.3, -2.0]))
    plain, own = trained.transcribe(samples), calibrated.transcribe(samples)
    for found in (plain, own):
        assert found.confidence == pytest.approx(np.mean([word.confidence for word in found.words]))
    evidence = collect_evidence([plain.words[0].confidence])
    assert own.words[0].confidence == pytest.approx(calibrate(evidence, (0.3, -2.0))[0])
    assert own.confidence is not None and plain.confidence is not None and own.confidence < plain.confidence
    silence = trained.transcribe(np.zeros(RATE))
    assert silence.words or silence.confidence is None


def test_many_texts_are_aligned_and_one_that_does_not_fit_is_no_obstacle(trained: Recognizer, tone_run: Path) -> None:
    file = tone_run / "corpus" / "train0.wav"
    text = trained.transcribe(file).text
    results = dict(trained.align_all([(file, text), (file, "xyz"), (file, text.upper())]))
    assert [word.text for word in results[0].words] == text.split()  # type: ignore[union-attr]
    assert results[2].words[0].start == results[0].words[0].start  # type: ignore[union-attr]
    assert isinstance(results[1], InputError) and str(results[1]).startswith(f"{file}: ")
    with pytest.raises(InputError, match="'xyz'"):
        trained.align(file, "xyz")


# -- loading


def test_load_takes_a_model_or_a_run(tone_run: Path) -> None:
    assert asr.load(tone_run).vocabulary == asr.load(str(tone_run / "model")).vocabulary
    assert asr.load(tone_run).sample_rate == RATE


def test_load_refuses_other_things(tone_run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="/none: no such model directory"):
        asr.load("/none")
    with pytest.raises(InputError, match="no such model directory"):
        asr.load(tone_run / "model" / "config.yaml")
    with pytest.raises(InputError, match="not a model directory"):
        asr.load(tmp_path)
    with pytest.raises(InputError, match="device 'abacus' cannot be used"):
        asr.load(tone_run, device="abacus")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="device 'cuda' cannot be used"):
            asr.load(tone_run, device="cuda")
