"""Viterbi alignment of labels to frames under CTC: which frames say which label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit

from asr.decoding.hypothesis import Hypothesis
from asr.errors import InputError


def align(log_probs: np.ndarray, labels: Sequence[int], blank: int = 0) -> tuple[np.ndarray, float]:
    """The most probable path that collapses to ``labels``, and its log-probability.

    ``log_probs`` is (T, V), natural logs; the path (T,) holds for each frame the index into ``labels`` of what it says,
    -1 for blank. Its every label has at least one frame, and equal neighbours have a blank between them (Graves et al.
    2006, section 3). Raises InputError for labels outside the scores, and where no path has a probability above zero:
    fewer frames than labels and repeats, say.
    """
    log_probs = np.asarray(log_probs)
    wanted = np.asarray(labels, dtype=np.int64)
    if log_probs.ndim != 2 or wanted.ndim != 1:
        raise InputError(f"alignment: scores must be (T, V), labels (L,): got {log_probs.shape} and {wanted.shape}")
    if not 0 <= blank < log_probs.shape[1]:
        raise InputError(f"alignment: blank {blank} is outside the {log_probs.shape[1]} labels")
    if (wanted.size and not 0 <= wanted.min() <= wanted.max() < log_probs.shape[1]) or (wanted == blank).any():
        raise InputError(f"alignment: labels must be 0 to {log_probs.shape[1] - 1} and not blank ({blank})")
    if not len(log_probs):
        if wanted.size:
            raise InputError(f"alignment: no frames for {wanted.size} labels")
        return np.zeros(0, dtype=np.int64), 0.0
    path, score = _viterbi(log_probs, wanted, blank, KEPT)
    if score == -np.inf:
        needed = wanted.size + int((wanted[1:] == wanted[:-1]).sum())
        raise InputError(
            f"alignment: no path of {len(log_probs)} frames says these {wanted.size} labels: {needed} frames are needed"
        )
    return path, score


def spans(path: np.ndarray, count: int) -> np.ndarray:
    """First frame and last + 1 (count, 2) of each of ``count`` labels in a path of `align`."""
    frames = np.flatnonzero(path >= 0)
    said, wanted = path[frames], np.arange(count)
    first = np.searchsorted(said, wanted)
    last = np.searchsorted(said, wanted, "right") - 1
    return np.stack([frames[first], frames[last] + 1], -1)


def align_hypothesis(
    log_probs: np.ndarray,
    labels: Sequence[int],
    blank: int = 0,
    score: float | None = None,
    words: Sequence[tuple[int, int, int]] = (),
) -> Hypothesis:
    """A hypothesis of ``labels`` with their spans on the best path through ``log_probs`` (T, V), natural logs.

    The confidence of a label is its largest probability within its span, as in greedy search. ``score`` is the
    path's own unless it is given. Raises InputError as `align` does.
    """
    path, own = align(log_probs, labels, blank)
    frames = spans(path, len(labels))
    said = np.flatnonzero(path >= 0)  # each label's frames are next to one another
    heard = log_probs[said, np.asarray(labels, dtype=np.int64)[path[said]]]
    firsts = np.searchsorted(said, frames[:, 0])
    confidence = tuple(np.exp(np.maximum.reduceat(heard, firsts)).tolist()) if len(labels) else ()
    times = tuple((first, end) for first, end in frames.tolist())
    return Hypothesis(tuple(labels), own if score is None else score, times, confidence, tuple(words))


# Scores are kept of one frame in so many. What led to the best path is found from the last such frame to the first,
# by going forward again over the labels that can have been reached. So 3 hours of 30-ms frames and 150,000 labels take
# 0.5 GB; a pointer for each frame and state would take 100.
KEPT = 2048


@njit(cache=True, nogil=True)
def _step(
    row: np.ndarray,
    labels: np.ndarray,
    jump: np.ndarray,
    blank: int,
    before: np.ndarray,
    after: np.ndarray,
    low: int,
    high: int,
) -> None:
    """One frame (V,): best scores of being in each state, from ``before`` to ``after``, (2, L + 1) each.

    ``[0, i]`` is the blank that stands before label i (the last one behind all), ``[1, i + 1]`` label i, ``[1, 0]``
    nothing. ``jump`` is 0 where label i may follow label i - 1 without a blank, else -inf. Labels from ``low`` to
    ``high`` - 1, and the blanks about them.
    """
    blanks, said, new_blanks, new_said = before[0], before[1], after[0], after[1]
    for i in range(low, high):
        best = max(said[i + 1], blanks[i])
        best = max(best, said[i] + jump[i])
        new_said[i + 1] = best + row[labels[i]]
    for i in range(low, high + 1):
        new_blanks[i] = max(blanks[i], said[i]) + row[blank]


@njit(cache=True, nogil=True)
def _viterbi(log_probs: np.ndarray, labels: np.ndarray, blank: int, kept: int) -> tuple[np.ndarray, float]:
    """Best path through the states blank, label 0, blank, label 1, …, blank, and its score."""
    frames, count = len(log_probs), len(labels)
    jump = np.zeros(count)
    for i in range(count):
        if i and labels[i] == labels[i - 1]:
            jump[i] = -np.inf
    now, then = np.full((2, count + 1), -np.inf), np.full((2, count + 1), -np.inf)
    now[0, 0] = 0.0  # before the first frame
    last = (frames - 1) // kept
    starts = np.empty((last + 1, 2, count + 1))
    for t in range(last * kept):
        if t % kept == 0:
            starts[t // kept] = now
        # only what can be reached from the start and can still reach the end; lower scores are stale, and unread
        _step(log_probs[t], labels, jump, blank, now, then, max(0, count - frames + t), min(count, t + 1))
        now, then = then, now
    starts[last] = now
    path = np.full(frames, -1)
    score, i, in_label = -np.inf, count, False  # the label that is said, or the blank before it
    for block in range(last, -1, -1):
        begin, end = block * kept, min((block + 1) * kept, frames)
        high = i + 1 if in_label else i
        low = max(0, high - (end - begin) - 1)
        rows = np.full((end - begin + 1, 2, high - low + 1), -np.inf)
        rows[0] = starts[block, :, low : high + 1]
        for t in range(begin, end):
            first, behind = max(low, high - (end - t)), min(high, t + 1)
            before, after = rows[t - begin], rows[t - begin + 1]
            _step(log_probs[t], labels[low:], jump[low:], blank, before, after, first - low, behind - low)
        if block == last:
            blanks, said = rows[end - begin]
            in_label = said[count - low] > blanks[count - low]
            score = max(said[count - low], blanks[count - low])
            if score == -np.inf:
                return path, score
            i -= in_label
        for t in range(end - 1, begin - 1, -1):
            blanks, said = rows[t - begin]
            if in_label:
                path[t] = i
                if max(blanks[i - low], said[i - low] + jump[i]) > said[i - low + 1]:
                    in_label = said[i - low] + jump[i] > blanks[i - low]
                    i -= in_label
            elif said[i - low] > blanks[i - low]:
                in_label = True
                i -= 1
    return path, score
