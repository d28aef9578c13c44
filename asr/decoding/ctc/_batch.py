"""Check the input of the CTC searches over batches."""

from __future__ import annotations

import numpy as np

from asr.errors import InputError


def check_batch(scores: np.ndarray, lengths: np.ndarray, blank: int) -> tuple[np.ndarray, np.ndarray]:
    """Return scores (N, T, V) and lengths (N,) as arrays; InputError unless shapes, lengths and blank fit."""
    scores, lengths = np.asarray(scores), np.asarray(lengths)
    if scores.ndim != 3 or lengths.shape != scores.shape[:1] or lengths.dtype.kind not in "iu":
        raise InputError(
            f"scores must be (N, T, V) and lengths (N,) integers: got {scores.shape}, {lengths.shape} {lengths.dtype}"
        )
    if not 0 <= blank < scores.shape[2]:
        raise InputError(f"blank {blank} is outside the {scores.shape[2]} labels")
    if lengths.size and not 0 <= lengths.min() <= lengths.max() <= scores.shape[1]:
        raise InputError(f"lengths {lengths.min()} to {lengths.max()} do not fit {scores.shape[1]} frames")
    return scores, lengths
