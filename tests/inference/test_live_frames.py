"""Networks that only look forward are read frame by frame: the frames are those of the whole recording."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from asr.features import MFCC, FilterBank
from asr.inference._live_frames import RereadFrames, StreamedFrames, make_frames
from asr.inference.live import Committed, Live
from asr.inference.recognizer import Recognizer
from asr.inference.windows import Window
from asr.modules.encoder import Encoder
from asr.modules.label_rnn import LabelRNN
from asr.tasks.ctc import CTCTask
from asr.tasks.transducer import TransducerTask
from asr.text.vocabulary import Vocabulary

RATE = 8000
VOCABULARY = Vocabulary.characters(" abc")


def speech(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise that is loud and soft in turns."""
    rng = np.random.default_rng(seed)
    samples = rng.normal(0, 0.1, round(seconds * RATE))
    return (samples * (1 + np.sin(np.arange(len(samples)) * 9 / RATE))).astype(np.float32)


def recognizer(front: Any, transducer: bool = False, **options: Any) -> Recognizer:
    torch.manual_seed(0)
    encoder = Encoder(front.dim, 8, 3, bidirectional=False, **options)
    if transducer:
        labels = LabelRNN(len(VOCABULARY), embedding_size=4, hidden_size=6, outputs=7)
        return Recognizer(TransducerTask(front, encoder, {"text": VOCABULARY}, labels))
    return Recognizer(CTCTask(front, encoder, {"text": VOCABULARY}, self_condition=[1]))


def bank(**options: Any) -> FilterBank:
    return FilterBank(RATE, num_mels=8, energy=False, normalization="none", **options)


MODELS = {
    "convolutions": lambda: recognizer(bank(deltas=0), channels=[3, 2], stride=3),
    "derivatives": lambda: recognizer(bank(deltas=2), stack=3, stride=2),
    "single frames": lambda: recognizer(MFCC(RATE, normalization="none")),
    "transducer": lambda: recognizer(bank(deltas=1), True, stack=2, stride=2),
}


def in_pieces(model: Recognizer, samples: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    frames = StreamedFrames(model)
    found, begin, number = [], 0, 0
    while len(samples):
        size = sizes[number % len(sizes)]
        frames.feed(samples[:size])
        samples = samples[size:]
        number += 1
        new = frames.read(begin, not len(samples))
        found.append(new)
        begin += len(new)
        frames.forget(begin)
    return np.concatenate([part for part in found if len(part)])


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("sizes", [(801,), (4000, 37), (100000,)])
def test_frames_are_those_of_the_whole_recording(name: str, sizes: tuple[int, ...]) -> None:
    model = MODELS[name]()
    assert isinstance(make_frames(model), StreamedFrames)
    samples = speech(11)
    (whole,) = model.log_probs([Window(0, torch.from_numpy(samples))])
    np.testing.assert_allclose(in_pieces(model, samples, sizes), whole, atol=2e-5)


@pytest.mark.parametrize("name", ["convolutions", "transducer"])
def test_silence_is_left_out_as_in_the_whole_recording(name: str) -> None:
    model = MODELS[name]()
    zeros = np.zeros(3 * RATE, np.float32)
    samples = np.concatenate([zeros, speech(2), zeros, speech(1, 1), zeros])
    (whole,) = model.log_probs([Window(0, torch.from_numpy(samples))])
    task: Any = model.task
    silence = task.silent_frame("text").numpy()
    left_out, expected = ((frames == silence).all(1) for frames in (in_pieces(model, samples, (3200,)), whole))
    assert expected.sum() > 60 and (left_out != expected).sum() <= 8  # single frames at the edges
    (nothing,) = model.log_probs([Window(0, torch.from_numpy(zeros))])
    np.testing.assert_allclose(in_pieces(model, zeros, (3200,)), nothing, atol=2e-5)


def test_models_that_look_ahead_read_again() -> None:
    front = bank(deltas=0)
    both = Recognizer(CTCTask(front, Encoder(front.dim, 4, 1), {"text": VOCABULARY}))
    own = FilterBank(RATE, num_mels=8, energy=False, normalization="utterance", deltas=0)
    normalized = Recognizer(CTCTask(own, Encoder(own.dim, 4, 1, bidirectional=False), {"text": VOCABULARY}))
    for model in (both, normalized):
        assert isinstance(make_frames(model), RereadFrames)


@pytest.mark.parametrize("name", MODELS)
def test_live_words_are_those_of_the_whole_recording(name: str) -> None:
    model = MODELS[name]()
    samples = speech(6)
    live = Live(model)
    events = [event for begin in range(0, len(samples), 800) for event in live.feed(samples[begin : begin + 800])]
    events += live.finish()
    words = [word.text for event in events if isinstance(event, Committed) for word in event.words]
    assert "".join(words) == model.transcribe(samples).text.replace(" ", "")


@pytest.mark.parametrize("speaks", [False, True])
def test_an_hour_takes_bounded_memory(speaks: bool) -> None:
    model = MODELS["convolutions"]()
    frames = StreamedFrames(model)
    piece = speech(5) if speaks else np.zeros(5 * RATE, np.float32)
    for number in range(40):
        frames.feed(piece)
        frames.read(round(number * 5 / model.task.frame_seconds), False)
        frames.forget(round((number * 5 - 1) / model.task.frame_seconds))
        assert len(frames._audio) < 16 * RATE and len(frames._frames) * model.task.frame_seconds < 8
