"""Windows over long recordings: they change nothing, end where it is quiet, and bound the memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein
from recognizers import assert_same, frame_local, with_windows

from asr import audio
from asr.inference.recognizer import Recognizer
from asr.inference.windows import Window, cut_windows

RATE = 8000


def windows_of(model: Recognizer, source: Any) -> Iterator[Window]:
    return cut_windows(0, source, model.task.features, model.task.frame_seconds)


@settings(deadline=None, max_examples=60)
@given(
    core=st.integers(2, 20),
    context=st.integers(1, 6),
    stacking=st.sampled_from([(1, 1), (3, 3), (2, 1), (3, 2)]),
    count=st.integers(0, 4),
    frames=st.integers(-2, 2),
    samples=st.integers(-2, 2),
    blocks=st.lists(st.integers(1, 4000), max_size=4),
    seed=st.integers(0, 99),
)
def test_windows_change_nothing_for_a_model_without_context(
    core: int,
    context: int,
    stacking: tuple[int, int],
    count: int,
    frames: int,
    samples: int,
    blocks: list[int],
    seed: int,
) -> None:
    """At all lengths around those at which one more window begins, and however the audio comes in."""
    found = frame_local(*stacking)
    step = found.task.frame_seconds
    unit = round(step * RATE)
    context += 4  # of which stacking and overlapping frames need some
    length = max(1, (count * core + 2 * context + frames) * unit + 200 + samples)
    waveform = np.random.default_rng(seed).normal(0, 0.3, length).astype(np.float32)
    expected = found.transcribe(waveform)
    assert expected.duration == length / RATE
    cuts = np.minimum(np.cumsum([*blocks, length]), length)
    with pytest.MonkeyPatch.context() as patch:
        with_windows(patch, core * step, context * step)
        assert_same(found.transcribe(waveform), expected)
        patch.setattr(audio, "stream", lambda source, rate: iter(np.split(waveform, cuts[:-1])))
        found.batch_seconds = 1.0
        assert_same(found.transcribe("in blocks"), expected)
        seen = [(w.skip, w.keep, w.is_last, len(w.inputs)) for w in windows_of(found, "in blocks")]
    assert [last for _, _, last, _ in seen] == [False] * (len(seen) - 1) + [True]
    rest = max(round(core / 2), context)
    assert max(size for *_, size in seen) <= (core + context + rest) * unit
    if length > (core + rest) * unit:
        assert len(seen) > 1
        assert seen[-1][3] > rest * unit  # the last window is not a stub
        assert all(round(core / 2) <= (keep or core) <= core for _, keep, _, _ in seen)


def test_what_fits_in_one_window_is_not_cut(trained: Recognizer) -> None:
    for seconds, count in ((1.0, 1), (89.9, 1), (90.0, 1), (90.1, 2), (150.0, 2), (150.1, 3)):
        waveform = np.zeros(round(seconds * RATE), np.float32)
        assert len(list(windows_of(trained, waveform))) == count


def test_windows_end_where_it_is_quietest(trained: Recognizer) -> None:
    """Of several pauses in the quietest one; a click in it makes no difference, 50 ms of zeros are no pause."""
    generator = np.random.default_rng(0)
    waveform = generator.normal(0, 0.1, 200 * RATE).astype(np.float32)
    for start, seconds, level in ((33.0, 1.0, 0.01), (41.0, 0.5, 0.003), (50.0, 0.05, 0.0), (80.0, 0.4, 0.01)):
        part = slice(round(start * RATE), round((start + seconds) * RATE))
        waveform[part] *= level / 0.1
    waveform[round(41.2 * RATE)] = 0.01
    ends = np.cumsum([window.keep or 0 for window in windows_of(trained, waveform)]) * trained.task.frame_seconds
    assert 41.1 < ends[0] < 41.4 and 80.1 < ends[1] < 80.3
    loud = [window.keep or 0 for window in windows_of(trained, np.tile(waveform[: 30 * RATE], 4))]
    assert all(30 <= keep * trained.task.frame_seconds <= 60 for keep in loud[:-1])


def test_three_minutes_in_windows_equal_the_whole(
    trained: Recognizer, tones: Any, tone_texts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = tone_texts(300, seed=5)
    waveform = np.concatenate([tones(text, i) for i, text in enumerate(texts)])[: 180 * RATE]
    assert len(waveform) == 180 * RATE
    joined = trained.transcribe(waveform)
    assert 3 <= len(list(windows_of(trained, waveform))) <= 5
    with_windows(monkeypatch, 1000.0, 5.0)
    whole = trained.transcribe(waveform)
    assert len(whole.text) > 1000
    assert Levenshtein.distance(joined.text, whole.text) <= 0.01 * len(whole.text)
    assert joined.duration == whole.duration
    heard, said = whole.text.replace(" ", ""), "".join(texts).replace(" ", "")[:1000]
    assert Levenshtein.distance(heard[:1000], said) < 600  # not nonsense, though learnt from eight utterances


def test_a_long_file_is_held_a_window_at_a_time(trained: Recognizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour, of which the samples alone would take 115 MB."""

    def hour(source: Any, rate: int) -> Iterator[np.ndarray]:
        for _ in range(120):
            yield np.zeros(30 * rate, np.float32)

    monkeypatch.setattr(audio, "stream", hour)
    tracemalloc.start()
    kept = 0
    for window in windows_of(trained, "an hour"):
        assert len(window.inputs) <= 93 * RATE
        kept += window.keep or 0
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16e6
    step = trained.task.frame_seconds
    assert 3600 - 90 <= kept * step <= 3600


def test_batches_of_windows_are_bounded(trained: Recognizer, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[float] = []
    log_probs = Recognizer.log_probs

    def watched(self: Recognizer, batch: Sequence[Any]) -> Any:
        sizes.append(len(batch) * max(len(window.inputs) for window in batch) / RATE)
        return log_probs(self, batch)

    monkeypatch.setattr(Recognizer, "log_probs", watched)
    with_windows(monkeypatch, 0.5, 0.1)
    trained.batch_seconds = 2.0
    trained.transcribe(np.zeros(20 * RATE))
    trained.batch_seconds = 240.0
    assert len(sizes) > 10 and max(sizes) <= 2.0
