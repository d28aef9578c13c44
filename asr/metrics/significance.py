"""Confidence intervals of error rates."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from asr.metrics.error_rate import ErrorCounts


def bootstrap_interval(
    counts: Sequence[ErrorCounts], level: float = 0.95, resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Compute the percentile bootstrap interval of an error rate (Bisani & Ney 2004).

    Utterances are resampled with replacement. The interval takes no account of the number of speakers, nor of the
    variance between training runs.

    Args:
        counts: of each utterance.
        level: of confidence, between 0 and 1.
        resamples: number of bootstrap samples.
        seed: of the sampling.

    Returns:
        Lower and upper bound; (NaN, NaN) without a reference token.

    Raises:
        ValueError: ``level`` is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level {level} is not between 0 and 1")
    errors = np.array([c.errors for c in counts], dtype=np.float64)
    references = np.array([c.reference for c in counts], dtype=np.float64)
    if not references.any():
        return math.nan, math.nan
    random = np.random.default_rng(seed)
    rates = []
    for _ in range(resamples):
        sample = random.integers(len(errors), size=len(errors))
        if total := references[sample].sum():
            rates.append(errors[sample].sum() / total)
    low, high = np.quantile(rates, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
