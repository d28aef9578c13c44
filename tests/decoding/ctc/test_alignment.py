"""CTC Viterbi alignment against the enumeration of all paths."""

from __future__ import annotations

from itertools import groupby, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.decoding.ctc import alignment
from asr.decoding.ctc.alignment import align, spans
from asr.errors import InputError


def collapsed(path: tuple[int, ...], blank: int) -> tuple[int, ...]:
    return tuple(label for label, _ in groupby(path) if label != blank)


def random_scores(seed: int, frames: int, labels: int) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(0, 2, (frames, labels))
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


@settings(deadline=None, max_examples=80)
@given(frames=st.integers(1, 6), seed=st.integers(0, 9999), data=st.data())
def test_finds_the_best_of_all_paths(frames: int, seed: int, data: st.DataObject) -> None:
    blank = data.draw(st.integers(0, 2))
    others = [label for label in range(3) if label != blank]
    labels = tuple(data.draw(st.lists(st.sampled_from(others), max_size=4)))
    scores = random_scores(seed, frames, 3)
    totals = {
        path: sum(scores[t, label] for t, label in enumerate(path))
        for path in product(range(3), repeat=frames)
        if collapsed(path, blank) == labels
    }
    if not totals:
        with pytest.raises(InputError, match="frames are needed"):
            align(scores, labels, blank)
        return
    best = max(totals, key=lambda path: totals[path])
    path, score = align(scores, labels, blank)
    assert score == pytest.approx(totals[best])
    assert tuple(blank if index < 0 else labels[index] for index in path) == best
    first = [int(np.flatnonzero(path == index)[0]) for index in range(len(labels))]
    last = [int(np.flatnonzero(path == index)[-1]) for index in range(len(labels))]
    assert spans(path, len(labels)).tolist() == [[a, b + 1] for a, b in zip(first, last, strict=True)]


@settings(deadline=None, max_examples=60)
@given(frames=st.integers(1, 40), kept=st.integers(1, 12), seed=st.integers(0, 9999), data=st.data())
def test_what_is_kept_of_scores_does_not_matter(frames: int, kept: int, seed: int, data: st.DataObject) -> None:
    labels = np.array(data.draw(st.lists(st.integers(1, 3), max_size=frames)), dtype=np.int64)
    scores = random_scores(seed, frames, 4)
    whole, best = alignment._viterbi(scores, labels, 0, frames)
    path, score = alignment._viterbi(scores, labels, 0, kept)
    assert score == best
    assert score == -np.inf or path.tolist() == whole.tolist()


def test_nothing_to_align() -> None:
    path, score = align(np.zeros((0, 3)), [])
    assert (path.tolist(), score) == ([], 0.0)
    with pytest.raises(InputError, match="no frames for 1 labels"):
        align(np.zeros((0, 3)), [1])


@pytest.mark.parametrize(
    ("labels", "blank", "message"),
    [
        ([3], 0, "labels must be 0 to 2"),
        ([-1], 0, "labels must be"),
        ([0], 0, "not blank"),
        ([1], 3, "blank 3 is outside"),
    ],
)
def test_labels_outside_the_scores(labels: list[int], blank: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        align(random_scores(0, 5, 3), labels, blank)


def test_shapes() -> None:
    with pytest.raises(InputError, match=r"\(T, V\)"):
        align(np.zeros(4), [1])
