"""Greedy (best-path) CTC decoding: the most probable label of every frame, repeats merged, blanks removed."""

from __future__ import annotations

import numpy as np

from asr.decoding.ctc._batch import check_batch
from asr.decoding.hypothesis import Hypothesis


def search(log_probs: np.ndarray, lengths: np.ndarray, blank: int = 0) -> list[Hypothesis]:
    """Find the best path of each utterance of a batch (Graves et al. 2006, section 3.2).

    Args:
        log_probs: (N, T, V) natural logs.
        lengths: (N,) integers up to T.
        blank: index of blank.

    Returns:
        A hypothesis for each utterance, see `collapse`.

    Raises:
        InputError: shapes, lengths or blank do not fit.
    """
    log_probs, lengths = check_batch(log_probs, lengths, blank)
    paths, scores = best_path(log_probs)
    return [
        collapse(path[:length], score[:length], blank)
        for path, score, length in zip(paths, scores, lengths, strict=True)
    ]


def best_path(log_probs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the best label of each frame and its natural log: (…, T, V) to (…, T) int64 and (…, T)."""
    paths = log_probs.argmax(-1)
    return paths, np.take_along_axis(log_probs, paths[..., None], -1)[..., 0]


def collapse(path: np.ndarray, scores: np.ndarray, blank: int = 0) -> Hypothesis:
    """Merge the repeats of a path and remove its blanks.

    Args:
        path: (T,) integers, the label of each frame.
        scores: (T,) natural logs of their probabilities.
        blank: index of blank.

    Returns:
        The hypothesis. Its score is the natural log of the path's probability; a label's span is its run of frames, and
        its confidence the largest probability in that run.
    """
    if not len(path):
        return Hypothesis((), 0.0)
    starts = np.flatnonzero(np.r_[True, path[1:] != path[:-1]])
    ends = np.r_[starts[1:], len(path)]
    peaks = np.exp(np.maximum.reduceat(scores, starts))
    keep = path[starts] != blank
    return Hypothesis(
        labels=tuple(path[starts][keep].tolist()),
        score=float(scores.sum(dtype=np.float64)),
        frames=tuple(zip(starts[keep].tolist(), ends[keep].tolist(), strict=True)),
        confidence=tuple(peaks[keep].tolist()),
    )


def blank_rate(log_probs: np.ndarray, lengths: np.ndarray, blank: int = 0) -> tuple[int, int]:
    """Count the frames whose most probable label is blank, and all frames, of a batch as in `search`."""
    best = np.asarray(log_probs).argmax(-1)
    is_frame = np.arange(best.shape[1]) < np.asarray(lengths)[:, None]
    return int(((best == blank) & is_frame).sum()), int(is_frame.sum())
