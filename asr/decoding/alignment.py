"""Viterbi alignment of labels to frames under CTC: which frames say which label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit

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
    path, score = _viterbi(log_probs, wanted, blank)
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


@njit(cache=True, nogil=True)
def _viterbi(log_probs: np.ndarray, labels: np.ndarray, blank: int) -> tuple[np.ndarray, float]:
    """Best path through the states blank, label 0, blank, label 1, …, blank, and its score."""
    frames, states = len(log_probs), 2 * len(labels) + 1
    score = np.full(states, -np.inf)
    score[0] = log_probs[0, blank]
    if states > 1:
        score[1] = log_probs[0, labels[0]]
    came = np.zeros((frames, states), dtype=np.uint8)  # how many states the best way into a state advanced
    for t in range(1, frames):
        # only what can be reached from the start and can still reach the end; scores below `low` are stale, and unread
        low = max(0, states - 2 * (frames - t))
        high = min(states, 2 * t + 2)
        for s in range(high - 1, low - 1, -1):  # downwards: the states below still hold the last frame's scores
            best, step = score[s], 0
            if s >= 1 and score[s - 1] > best:
                best, step = score[s - 1], 1
            if s >= 3 and s % 2 == 1 and labels[s // 2] != labels[s // 2 - 1] and score[s - 2] > best:
                best, step = score[s - 2], 2
            came[t, s] = step
            score[s] = best + log_probs[t, labels[s // 2] if s % 2 == 1 else blank]
    last = states - 1
    if states > 1 and score[states - 2] > score[states - 1]:
        last = states - 2
    path = np.full(frames, -1)
    s = last
    for t in range(frames - 1, -1, -1):
        if s % 2 == 1:
            path[t] = s // 2
        s -= came[t, s]
    return path, score[last]
