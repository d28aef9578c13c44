"""Recordings without speech, and silence around speech."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import asr
from asr.inference import windows
from asr.inference.recognizer import Recognizer
from asr.models.directory import read_config
from asr.models.store import make_task
from asr.output.transcript import Transcript
from asr.tasks.ctc import CTCTask

RATE = 8000


def zeros(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


def noise(seconds: float, dbfs: float) -> np.ndarray:
    samples = np.random.default_rng(0).standard_normal(round(seconds * RATE))
    return (samples * 10 ** (dbfs / 20)).astype(np.float32)


def bursts(seconds: float, dbfs: float) -> np.ndarray:
    """Noise that comes and goes four times a second."""
    samples = noise(seconds, dbfs)
    return (samples * np.abs(np.sin(np.arange(len(samples)) * (4 * np.pi / RATE)))).astype(np.float32)


def check_no_words(result: Transcript, seconds: float) -> None:
    assert (result.text, result.words, result.confidence) == ("", (), None)
    assert result.duration == pytest.approx(seconds, abs=0.1)


@pytest.fixture(scope="module")
def usual(tone_run: Path) -> Recognizer:
    """A model that has not been trained with silence."""
    return asr.load(tone_run / "model")


def forget_blank(model: Recognizer) -> Recognizer:
    """Make a model hear a letter in everything: blank is never the best label."""
    task: Any = model.task
    head = task.heads["text"]
    for name, parameter in head.named_parameters():
        if name.endswith("bias"):
            parameter.data[model.vocabulary.blank] = -50.0
    return model


@pytest.fixture(scope="module")
def eager(tone_run: Path) -> Recognizer:
    """A model that hears a letter in everything."""
    return forget_blank(asr.load(tone_run / "model"))


@pytest.fixture(scope="module")
def robust(tmp_path_factory: pytest.TempPathFactory, tiny_config: Any, tone_corpus: Any, tone_texts: Any) -> Recognizer:
    """A model whose statistics are those of active frames, trained with silence around utterances."""
    from asr.training.run import train

    run_dir = tmp_path_factory.mktemp("robust")
    config = tiny_config(run_dir, tone_corpus(run_dir / "corpus", tone_texts(8)))
    config["features"] |= {"normalization": "both", "scale": False, "active": [2.0, 6.0], "floor": 6.0}
    config["data"]["perturbation"] = {"silence_seconds": 1.0, "silence_probability": 0.7, "gain": [-40.0, 6.0]}
    config["trainer"]["epochs"] = 50
    train(config)
    return asr.load(run_dir / "model")


def with_windows(patch: pytest.MonkeyPatch, longest: float, context: float) -> None:
    patch.setattr(windows, "MIN_CORE_SECONDS", longest / 2)
    patch.setattr(windows, "MAX_CORE_SECONDS", longest)
    patch.setattr(windows, "CONTEXT_SECONDS", context)


@pytest.mark.parametrize("decoder", [None, {"type": "beam", "beam": 8}], ids=["greedy", "beam"])
@pytest.mark.parametrize(
    "waveform",
    [zeros(3), zeros(3) + 0.25, zeros(3) - 1, noise(3, -85), noise(9, -30), zeros(0.01), zeros(100), noise(100, -50)],
    ids=["zeros", "constant", "full scale", "quiet noise", "noise", "hardly anything", "long zeros", "long noise"],
)
def test_without_signal_there_are_no_words(eager: Recognizer, waveform: np.ndarray, decoder: Any) -> None:
    from asr.inference.decoders.factory import make_decoder

    model = Recognizer(eager.task, decoder=decoder and make_decoder(eager.vocabulary, decoder))
    check_no_words(model.transcribe(waveform.astype(np.float32)), len(waveform) / RATE)
    assert model.transcribe(bursts(3, -30)).words  # what has a signal has words, of this model


def test_without_signal_there_are_no_words_in_windows(
    eager: Recognizer, monkeypatch: pytest.MonkeyPatch, tones: Callable[..., np.ndarray]
) -> None:
    with_windows(monkeypatch, 2.0, 0.5)
    check_no_words(eager.transcribe(zeros(20)), 20)
    speech = tones("abc def", 3)
    result = eager.transcribe(np.concatenate([zeros(9), speech, zeros(9)]))
    assert result.words
    assert all(word.start >= 8 and word.end <= 10 + len(speech) / RATE + 0.1 for word in result.words)


@pytest.mark.parametrize(
    "options",
    [
        {"normalization": "global"},
        {"normalization": "utterance", "mean_fraction": 1.0},
        {"normalization": "utterance", "mean_fraction": 0.7, "scale": False},
        {"normalization": "both", "active": [2.0, 5.0], "floor": 7.0},
    ],
    ids=lambda options: options["normalization"],
)
def test_without_signal_there_are_no_words_whatever_the_normalization(
    tone_run: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tones: Callable[..., np.ndarray]
) -> None:
    config = read_config(tone_run / "model")
    config["features"] |= options
    task = make_task(config, asr.load(tone_run / "model").task.vocabularies)
    assert isinstance(task, CTCTask)
    speech = tones("abc def", 3)
    task.features.fit([(torch.from_numpy(speech)[None], torch.tensor([len(speech)]))])
    model = forget_blank(Recognizer(task))
    for core, context in ((60.0, 3.0), (4.0, 1.0)):  # whole, and in windows
        with_windows(monkeypatch, core, context)
        for waveform in (zeros(10), zeros(10) + np.float32(0.25), noise(10, -85), noise(10, -40)):
            check_no_words(model.transcribe(waveform), 10)
        assert model.transcribe(bursts(10, -30)).words
        between = model.transcribe(np.concatenate([zeros(5), speech, noise(5, -90)]))
        assert between.words
        assert all(word.start >= 4 and word.end <= 6.1 + len(speech) / RATE for word in between.words)


@pytest.mark.parametrize("dbfs", [None, -40], ids=["zeros", "noise"])
def test_the_network_does_not_read_long_silence(
    usual: Recognizer, tones: Callable[..., np.ndarray], dbfs: float | None
) -> None:
    """What precedes speech by more than half a second changes none of its scores, in a batch of two lengths either."""
    speech = tones("abc def", 3)
    speech = speech[: len(speech) // 160 * 160]  # whole frames
    quiet = zeros(40) if dbfs is None else noise(40, dbfs)
    parts = [np.concatenate([quiet[-round(s * RATE) :], speech, quiet[: round(s * RATE)]]) for s in (4, 40)]
    lengths = torch.tensor([len(part) for part in parts])
    batch = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(part) for part in parts], batch_first=True)
    with torch.inference_mode():
        scores, frames = usual.task(batch, lengths)
    short, long = scores["text"].numpy()
    assert frames.tolist() == usual.task.output_lengths(lengths).tolist()
    per_second = round(1 / usual.task.frame_seconds)
    size = round(len(speech) / RATE * per_second)
    # a frame of silence more or less, as chunks and frames have other boundaries, half a second away
    near = short[4 * per_second : 4 * per_second + size]
    np.testing.assert_allclose(np.exp(long[40 * per_second : 40 * per_second + size]), np.exp(near), atol=0.05)
    assert short[: 3 * per_second - 2, usual.vocabulary.blank].min() == 0
    assert long[: 39 * per_second - 2, usual.vocabulary.blank].min() == 0


def test_words_are_aligned_with_the_signal(usual: Recognizer, tone_texts: Any, tones: Any) -> None:
    text = tone_texts(8)[0]
    assert usual.align(zeros(3), text).text == text  # an unlikely alignment, but no error
    speech = tones(text, 0)
    words = usual.align(np.concatenate([zeros(4), speech, zeros(4)]), text).words
    assert all(word.start >= 3 and word.end <= 5 + len(speech) / RATE for word in words)


@pytest.mark.parametrize("seconds", [0.1, 0.5, 2.0, 30.0])
def test_zeros_around_speech_change_no_word(
    robust: Recognizer, tone_texts: Callable[..., list[str]], tones: Callable[..., np.ndarray], seconds: float
) -> None:
    for seed, text in list(enumerate(tone_texts(8)))[:: 4 if seconds > 2 else 1]:
        speech = tones(text, seed)
        alone = robust.transcribe(speech)
        assert alone.text == text
        between = robust.transcribe(np.concatenate([zeros(seconds), speech, zeros(seconds)]))
        assert between.text == text
        for ours, expected in zip(between.words, alone.words, strict=True):
            assert ours.start - seconds == pytest.approx(expected.start, abs=0.061)


@pytest.mark.parametrize("core", [60.0, 10.0], ids=["whole", "windows"])
def test_long_noise_around_soft_speech(
    robust: Recognizer,
    tone_texts: Callable[..., list[str]],
    tones: Callable[..., np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
    core: float,
) -> None:
    with_windows(monkeypatch, core, 5.0)
    text = tone_texts(8)[1]
    speech = tones(text, 1)
    level = 20 * np.log10(speech.std())
    assert robust.transcribe(np.concatenate([noise(30, level - 20), speech, noise(30, level - 20)])).text == text


def test_two_minutes_muted_before_speech(
    robust: Recognizer, tone_texts: Callable[..., list[str]], tones: Callable[..., np.ndarray]
) -> None:
    text = tone_texts(8)[2]
    speech = tones(text, 2)
    assert robust.transcribe(np.concatenate([zeros(120), speech, zeros(120)])).text == text
    for gain in (0.01, 2.0):
        assert robust.transcribe(gain * np.concatenate([zeros(0.5), speech, zeros(0.5)])).text == text
