"""Greedy CTC decoding against the enumeration of all paths."""

from __future__ import annotations

from itertools import groupby, product

import numpy as np
import pytest
from ctc_paths import collapse, random_log_probs
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.decoding.ctc import greedy
from asr.errors import InputError


@settings(deadline=None, max_examples=60)
@given(frames=st.integers(0, 5), labels=st.integers(1, 4), seed=st.integers(0, 9999), data=st.data())
def test_finds_the_best_of_all_paths(frames: int, labels: int, seed: int, data: st.DataObject) -> None:
    blank = data.draw(st.integers(0, labels - 1))
    scores = random_log_probs(seed, 1, frames + 2, labels)
    (hypothesis,) = greedy.search(scores, np.array([frames]), blank)
    paths = list(product(range(labels), repeat=frames))
    totals = [sum(scores[0, t, label] for t, label in enumerate(path)) for path in paths]
    best = int(np.argmax(totals))
    assert hypothesis.labels == collapse(paths[best], blank)
    assert hypothesis.score == pytest.approx(totals[best])


@given(path=st.lists(st.integers(0, 3), max_size=20), blank=st.integers(0, 3), seed=st.integers(0, 99))
def test_frames_and_confidences_are_those_of_the_runs(path: list[int], blank: int, seed: int) -> None:
    scores = -np.random.default_rng(seed).exponential(1.0, len(path))
    hypothesis = greedy.collapse(np.array(path, dtype=int), scores, blank)
    frame, spans, confidences = 0, [], []
    for label, run in groupby(path):
        end = frame + len(list(run))
        if label != blank:
            spans.append((frame, end))
            confidences.append(max(np.exp(scores[frame:end])))
        frame = end
    assert hypothesis.frames == tuple(spans)
    assert hypothesis.confidence == pytest.approx(tuple(confidences))
    assert hypothesis.labels == collapse(tuple(path), blank)
    assert all(type(label) is int for label in hypothesis.labels)  # not numpy's, which JSON refuses
    assert hypothesis.score == pytest.approx(scores.sum())


def test_an_example_by_hand() -> None:
    probabilities = np.array([[0.1, 0.9], [0.4, 0.6], [0.8, 0.2], [0.3, 0.7]])
    (hypothesis,) = greedy.search(np.log(probabilities)[None], np.array([4]))
    assert hypothesis.labels == (1, 1)
    assert hypothesis.frames == ((0, 2), (3, 4))
    assert hypothesis.confidence == pytest.approx((0.9, 0.7))
    assert hypothesis.score == pytest.approx(np.log(0.9 * 0.6 * 0.8 * 0.7))


def test_a_batch_gives_what_singles_give_and_padding_is_not_read() -> None:
    scores, lengths = random_log_probs(0, 4, 9, 5), np.array([9, 0, 4, 1])
    batch = greedy.search(scores, lengths)
    for row, length in enumerate(lengths):
        assert batch[row] == greedy.search(scores[row : row + 1, :length], lengths[row : row + 1])[0]
    assert batch[1].labels == () and batch[1].score == 0.0


def test_blank_rate() -> None:
    scores = np.log(np.array([[[0.9, 0.1], [0.2, 0.8], [0.9, 0.1]], [[0.6, 0.4], [0.9, 0.1], [0.9, 0.1]]]))
    assert greedy.blank_rate(scores, np.array([3, 1])) == (3, 4)
    assert greedy.blank_rate(scores, np.array([3, 1]), blank=1) == (1, 4)


@pytest.mark.parametrize(
    ("shape", "lengths", "blank", "message"),
    [
        ((3, 4), [3], 0, r"must be \(N, T, V\)"),
        ((1, 3, 4), [3, 3], 0, r"lengths \(N,\)"),
        ((1, 3, 4), [4], 0, "lengths 4 to 4 do not fit 3 frames"),
        ((1, 3, 4), [-1], 0, "lengths -1"),
        ((1, 3, 4), [3], 4, "blank 4 is outside the 4 labels"),
    ],
)
def test_wrong_shapes(shape: tuple[int, ...], lengths: list[int], blank: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        greedy.search(np.zeros(shape), np.array(lengths), blank)
