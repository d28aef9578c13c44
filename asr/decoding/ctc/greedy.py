"""Greedy (best-path) CTC decoding: the most probable label of every frame, repeats merged, blanks removed."""

from __future__ import annotations

import numpy as np

from asr.decoding.hypothesis import Hypothesis
from asr.errors import InputError


def search(log_probs: np.ndarray, lengths: np.ndarray, blank: int = 0) -> list[Hypothesis]:
    """Best path of each utterance (Graves et al. 2006, section 3.2), with spans of frames and confidences.

    ``log_probs`` is (N, T, V), natural logs; ``lengths`` (N,), integers up to T. Raises InputError for shapes that do
    not fit. See `collapse` for what a hypothesis holds.
    """
    log_probs, lengths = np.asarray(log_probs), np.asarray(lengths)
    if log_probs.ndim != 3 or lengths.shape != log_probs.shape[:1]:
        raise InputError(f"scores must be (N, T, V) and lengths (N,): got {log_probs.shape} and {lengths.shape}")
    if not 0 <= blank < log_probs.shape[2]:
        raise InputError(f"blank {blank} is outside the {log_probs.shape[2]} labels")
    if lengths.size and not 0 <= lengths.min() <= lengths.max() <= log_probs.shape[1]:
        raise InputError(f"lengths {lengths.min()} to {lengths.max()} do not fit {log_probs.shape[1]} frames")
    paths, scores = best_path(log_probs)
    return [
        collapse(path[:length], score[:length], blank)
        for path, score, length in zip(paths, scores, lengths, strict=True)
    ]


def best_path(log_probs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The best label of every frame and its log-probability: (…, T, V) to (…, T) integers and (…, T)."""
    paths = log_probs.argmax(-1)
    return paths, np.take_along_axis(log_probs, paths[..., None], -1)[..., 0]


def collapse(path: np.ndarray, scores: np.ndarray, blank: int = 0) -> Hypothesis:
    """The hypothesis of a path (T,) of labels with their log-probabilities (T,).

    Its score is the log-probability of the path; a label's span is the run of frames that argue for it, and its
    confidence the largest probability in that run.
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
    """Frames whose most probable label is blank, and all frames, of a batch as in `search`."""
    best = np.asarray(log_probs).argmax(-1)
    inside = np.arange(best.shape[1]) < np.asarray(lengths)[:, None]
    return int(((best == blank) & inside).sum()), int(inside.sum())
