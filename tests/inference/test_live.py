"""Live recognition: what is committed and when, that it stays, and that memory is bounded."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from asr.errors import InputError
from asr.features import Precomputed
from asr.inference.live import Committed, Live, Partial
from asr.inference.recognizer import Recognizer
from asr.modules.encoder import Encoder
from asr.output.transcript import Word
from asr.tasks.ctc import CTCTask
from asr.text.vocabulary import Vocabulary

RATE = 8000


@pytest.fixture(scope="module")
def speech(tones: Callable[..., np.ndarray], tone_texts: Callable[..., list[str]]) -> np.ndarray:
    """Half a minute: the utterances of training, with pauses of half a second to two seconds between them."""
    rng = np.random.default_rng(0)
    parts = []
    for number, text in enumerate(tone_texts(8) * 3):
        silence = rng.normal(0, 0.003, round(rng.uniform(0.5, 2.0) * RATE))
        parts += [tones(text, number), silence.astype(np.float32)]
    return np.concatenate(parts)


def run(live: Live, samples: np.ndarray, size: int = 800) -> list[Any]:
    events = [event for begin in range(0, len(samples), size) for event in live.feed(samples[begin : begin + size])]
    return events + live.finish()


def words(events: Sequence[Any]) -> list[Word]:
    return [word for event in events if isinstance(event, Committed) for word in event.words]


def texts(events: Sequence[Any]) -> list[str]:
    return [word.text for word in words(events)]


def test_words_are_those_of_the_whole_recording(trained: Recognizer, speech: np.ndarray) -> None:
    whole = trained.transcribe(speech)
    events = run(Live(trained), speech)
    # a model of letters without a lexicon hears no space in a pause, where live recognition begins a new word
    assert "".join(texts(events)) == whole.text.replace(" ", "")
    starts = [word.start for word in words(events)]
    assert starts == sorted(starts)
    for word in whole.words:
        assert min(abs(start - word.start) for start in starts) < 0.1
    assert all(0 <= word.confidence <= 1 and word.start < word.end for word in words(events))
    assert [event for event in events if isinstance(event, Committed)][-1].is_end


def test_words_are_committed_soon(trained: Recognizer, speech: np.ndarray) -> None:
    live = Live(trained)
    late = []
    for begin in range(0, len(speech), 800):
        for event in live.feed(speech[begin : begin + 800]):
            if isinstance(event, Committed):
                late += [live.seconds - word.end for word in event.words]
    assert np.median(late) < 1.2 and max(late) < 3.5


def test_partial_words_are_replaced_and_end_empty(trained: Recognizer, speech: np.ndarray) -> None:
    events = run(Live(trained), speech)
    partial = [event for event in events if isinstance(event, Partial)]
    assert any(event.words for event in partial)
    assert partial[-1].words == () and partial[-1].text == ""
    assert all(before.words != after.words for before, after in pairwise(partial))


def test_stretches_end_at_long_pauses(trained: Recognizer, tones: Callable[..., np.ndarray]) -> None:
    silence = np.random.default_rng(1).normal(0, 0.003, 2 * RATE).astype(np.float32)
    live = Live(trained)
    audio = np.concatenate([tones("ab cd"), silence, tones("ef"), silence])
    events = [event for begin in range(0, len(audio), 800) for event in live.feed(audio[begin : begin + 800])]
    assert len([event for event in events if isinstance(event, Committed) and event.is_end]) == 2
    assert not live.finish()


def test_pieces_make_no_difference_where_readings_do_not(trained: Recognizer, speech: np.ndarray) -> None:
    step = 0.4
    assert run(Live(trained, step=step), speech, 400) == run(Live(trained, step=step), speech, 1600)


def test_a_long_piece_is_read_in_parts(trained: Recognizer, speech: np.ndarray) -> None:
    events = run(Live(trained), speech, len(speech))
    assert len([event for event in events if isinstance(event, Committed)]) > 3
    assert "".join(texts(events)) == trained.transcribe(speech).text.replace(" ", "")


def test_nothing_and_little(trained: Recognizer) -> None:
    assert Live(trained).finish() == []
    live = Live(trained)
    assert live.feed(np.zeros(0, np.float32)) == live.feed([]) == []
    assert live.feed(np.zeros(1, np.float32)) == []
    assert live.finish() == live.finish() == []
    assert live.seconds == 1 / RATE


@pytest.mark.parametrize("speaks", [False, True])
def test_an_hour_takes_bounded_memory(trained: Recognizer, monkeypatch: pytest.MonkeyPatch, speaks: bool) -> None:
    """An hour of blank, and one of a word that never ends."""
    read: list[float] = []

    def scores_of(self: Recognizer, batch: Sequence[Any]) -> list[np.ndarray]:
        seconds = len(batch[0].inputs) / RATE
        read.append(seconds)
        scores = np.full((round(seconds / self.task.frame_seconds), len(self.vocabulary)), -20, np.float32)
        scores[:, self.vocabulary.blank] = 0.0
        if speaks:
            scores[::2] = np.roll(scores[::2], 3, 1)
        return [scores]

    monkeypatch.setattr(Recognizer, "log_probs", scores_of)
    live = Live(trained)
    tracemalloc.start()
    for _ in range(900):
        live.feed(np.zeros(4 * RATE, np.float32))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert live.seconds == 3600 and max(read) < 40 and peak < 8e6


class Scripted(Live):
    """Live recognition that reads the words of a script: at each reading the next list of words."""

    def __init__(self, model: Recognizer, *readings: str, **options: Any) -> None:
        super().__init__(model, step=0.5, guard=0.5, **options)
        self.readings = list(readings)

    def _recognize(self, is_final: bool) -> list[Word]:
        """Each word as ``text@start``, half a second long."""
        reading = self.readings.pop(0).split()
        return [
            Word(text, float(at), min(float(at) + 0.5, self.seconds), 0.9)
            for text, at in (word.split("@") for word in reading)
        ]


def committed_after_each(model: Recognizer, *readings: str) -> list[str]:
    live = Scripted(model, *readings)
    return [" ".join(texts(live.feed(np.zeros(RATE // 2, np.float32)))) for _ in readings]


def test_two_readings_agree(trained: Recognizer) -> None:
    readings = ["a@0", "a@0", "a@0 b@0.6", "a@0 b@0.6 c@1.4", "a@0 b@0.6 c@1.4", "a@0 b@0.6 c@1.4"]
    assert committed_after_each(trained, *readings) == ["", "a", "", "b", "c", ""]
    assert committed_after_each(trained, "a@0", "b@0", "a@0", "a@0") == ["", "", "", "a"]


def test_a_word_stays_when_a_reading_before_it_differs(trained: Recognizer) -> None:
    found = committed_after_each(trained, "a@0", "a@0 b@0.5", "a@0 b@0.5", "ab@0 c@1.4", "ab@0 c@1.4")
    assert found == ["", "a", "b", "", "c"]


def test_a_committed_word_that_moves_is_not_committed_twice(trained: Recognizer) -> None:
    assert committed_after_each(trained, "a@0", "a@0", "x@0 a@0.3", "x@0 a@0.3") == ["", "a", "", ""]


def test_words_that_never_agree_are_committed_in_the_end(trained: Recognizer) -> None:
    readings = [f"{'ab'[number % 2]}@0" for number in range(7)]
    assert committed_after_each(trained, *readings) == [""] * 6 + ["a"]


def test_what_is_refused(trained: Recognizer) -> None:
    live = Live(trained)
    for samples in (np.zeros(5, np.int16), np.zeros((5, 2), np.float32), np.array([np.nan]), np.array([200.0])):
        with pytest.raises(InputError, match="live audio must be"):
            live.feed(samples)
    live.finish()
    with pytest.raises(InputError, match="finished"):
        live.feed(np.zeros(5, np.float32))
    for option in ("step", "guard"):
        for value in (0, -1.0, float("nan"), 6):
            with pytest.raises(InputError, match=f"{option}="):
                Live(trained, **{option: value})
    model: Any = "english"
    with pytest.raises(InputError, match="speech recognizer"):
        Live(model)
    features = Precomputed(3, 0.01, normalization="none")
    task = CTCTask(features, Encoder(3, 4, 1), {"text": Vocabulary.characters(" abc")})
    with pytest.raises(InputError, match="reads waveforms"):
        Live(Recognizer(task))
