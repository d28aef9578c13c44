"""Scores of any kind as the probabilities that the CTC beam search works with."""

from __future__ import annotations

import numpy as np

from asr.decoding.ctc.options import SCORES
from asr.errors import InputError

TOLERANCE = 0.02  # of the log of a frame's sum of probabilities; half-precision scores are off by 0.01


def to_probs(scores: np.ndarray, kind: str, first_frame: int) -> tuple[np.ndarray, np.ndarray]:
    """Convert scores to linear probabilities.

    Args:
        scores: (T, V) of any float type.
        kind: one of `SCORES`.
        first_frame: number of the first frame, for error messages.

    Returns:
        Probabilities (T, V) float64 in units of each frame's largest, and the natural log of that unit (T,) float64.

    Raises:
        InputError: scores are not of the kind: a frame does not sum to 1, or holds infinite or negative values or NaN.
    """
    peak = scores.max(1).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):  # seen in the sums below
        p = scores / peak[:, None] if kind == "probs" else np.exp(scores - peak[:, None])
        log_totals = np.log(p.sum(1))
        log_unit = -log_totals if kind == "logits" else np.log(peak) if kind == "probs" else peak
        error = np.abs(log_totals + log_unit)
    if kind == "probs" and (scores < 0).any():
        raise InputError('scores="probs" must not be negative; other kinds are "log_probs" and "logits"')
    if not (error <= TOLERANCE).all():
        row = int(np.flatnonzero(~(error <= TOLERANCE))[0])
        if not (scores[row] < np.inf).all():
            raise InputError(f"frame {first_frame + row} holds a score that is not a number, or infinite")
        others = " and ".join(repr(other) for other in SCORES if other != kind)
        total = (scores[row] if kind == "probs" else np.exp(scores[row])).sum()
        raise InputError(
            f"the probabilities of frame {first_frame + row} sum to {total:.4g}, not 1, with scores={kind!r} "
            f"(other kinds are {others})"
        )
    return p, log_unit


def check_log_probs(log_probs: np.ndarray, labels: int, first_frame: int = 0) -> None:
    """Raise InputError unless scores are natural-log probabilities (T, ``labels``) that sum to 1 in each frame.

    Args:
        log_probs: the scores.
        labels: size of the vocabulary.
        first_frame: number of the first frame, for error messages.
    """
    if log_probs.ndim != 2 or log_probs.shape[1] != labels:
        raise InputError(f"scores have the shape {log_probs.shape}: use (frames, {labels})")
    to_probs(log_probs, "log_probs", first_frame)


def checked_log_probs(scores: np.ndarray, kind: str, first_frame: int = 0) -> np.ndarray:
    """Convert scores (T, V) of a kind of `SCORES` to natural-log probabilities (T, V), and check that they are of it.

    Raises:
        InputError: as `to_probs`; or probabilities are called logits.
    """
    to_probs(scores, kind, first_frame)
    sums = scores.sum(1, dtype=np.float64) if kind == "logits" and len(scores) and (scores >= 0).all() else np.zeros(1)
    if (np.abs(sums - 1) <= TOLERANCE).all():
        raise InputError(
            'scores="logits", but each frame sums to 1 and nothing is negative: these are probabilities, use "probs"'
        )
    return to_log_probs(scores, kind)


def to_log_probs(scores: np.ndarray, kind: str) -> np.ndarray:
    """Convert scores (T, V) of a kind of `SCORES` to natural-log probabilities (T, V), float32 or float64."""
    if kind == "probs":
        with np.errstate(divide="ignore"):
            return np.log(scores)
    if kind == "logits":
        return scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    return scores if scores.dtype in (np.float32, np.float64) else scores.astype(np.float32)
