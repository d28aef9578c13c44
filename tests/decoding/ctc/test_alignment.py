"""CTC Viterbi alignment against the enumeration of all paths."""

from __future__ import annotations

import numpy as np
import pytest
from ctc_paths import collapse, path_scores, random_log_probs
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.decoding.ctc import alignment
from asr.decoding.ctc.alignment import align, spans
from asr.errors import InputError


@settings(deadline=None, max_examples=80)
@given(frames=st.integers(1, 6), seed=st.integers(0, 9999), data=st.data())
def test_finds_the_best_of_all_paths(frames: int, seed: int, data: st.DataObject) -> None:
    blank = data.draw(st.integers(0, 2))
    others = [label for label in range(3) if label != blank]
    labels = tuple(data.draw(st.lists(st.sampled_from(others), max_size=4)))
    scores = random_log_probs(seed, frames, 3)
    totals = {path: score for path, score in path_scores(scores).items() if collapse(path, blank) == labels}
    if not totals:
        with pytest.raises(
            InputError,
            match=r"the text is too long for the recording: its \d labels need \d frames, of which there are \d",
        ):
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
@given(frames=st.integers(1, 40), interval=st.integers(1, 12), seed=st.integers(0, 9999), data=st.data())
def test_the_interval_of_checkpoints_does_not_matter(
    frames: int, interval: int, seed: int, data: st.DataObject
) -> None:
    labels = np.array(data.draw(st.lists(st.integers(1, 3), max_size=frames)), dtype=np.int64)
    scores = random_log_probs(seed, frames, 4)
    whole, best = alignment._viterbi(scores, labels, 0, frames)
    path, score = alignment._viterbi(scores, labels, 0, interval)
    assert score == best
    assert score == -np.inf or path.tolist() == whole.tolist()


def test_no_frames() -> None:
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
def test_labels_and_blank_that_do_not_fit(labels: list[int], blank: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        align(random_log_probs(0, 5, 3), labels, blank)


def test_scores_of_a_wrong_shape() -> None:
    with pytest.raises(InputError, match=r"\(T, V\)"):
        align(np.zeros(4), [1])
