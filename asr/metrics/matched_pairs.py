"""The matched pairs test on segments of sentences, of Gillick & Cox 1989, as NIST's sc_stats does it (MAPSSWE)."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from asr.metrics.error_rate import align

MIN_CORRECT = 2  # tokens that both systems have right, between two segments

Tokens = Sequence[Hashable]


@dataclass(frozen=True)
class MatchedPairs:
    """Result of the test.

    Attributes:
        segments: number of segments with errors.
        mean: mean difference of the errors in a segment, B minus A.
        z: the mean by its standard error.
        p: two-sided p-value of the hypothesis that the mean is 0; NaN where it has no standard error.
    """

    segments: int
    mean: float
    z: float
    p: float


def matched_pairs_test(sentences: Sequence[tuple[Tokens, Tokens, Tokens]]) -> MatchedPairs:
    """Test whether two systems make equally many errors.

    Errors that follow each other depend on each other; those on both sides of some words that both systems have right
    hardly do. So the sentences are cut there, and the differences of the segments are taken for independent.

    Args:
        sentences: the tokens of each reference, of system A and of system B.
    """
    errors = [segment for sentence in sentences for segment in segment_errors(*sentence)]
    differences = np.array([b - a for a, b in errors], dtype=np.float64)
    if not differences.size:
        return MatchedPairs(0, 0.0, 0.0, math.nan)
    mean = float(differences.mean())
    deviation = float(differences.std(ddof=1)) if len(differences) > 1 else 0.0
    if not deviation:
        return MatchedPairs(len(differences), mean, 0.0, math.nan)
    z = mean / (deviation / math.sqrt(len(differences)))
    return MatchedPairs(len(differences), mean, z, 2 * NormalDist().cdf(-abs(z)))


def segment_errors(reference: Tokens, first: Tokens, second: Tokens) -> Iterator[tuple[int, int]]:
    """Yield the numbers of errors of systems A and B in each segment of a sentence that has any."""
    a, b = error_positions(reference, first), error_positions(reference, second)
    begin, correct = 0, 0  # of the segment; of the tokens without an error before the present place
    for place in range(len(a)):
        if a[place] or b[place]:
            if correct >= MIN_CORRECT and (errors := (sum(a[begin:place]), sum(b[begin:place]))) != (0, 0):
                yield errors
            if correct >= MIN_CORRECT:
                begin = place
            correct = 0
        elif place % 2:
            correct += 1
    if (errors := (sum(a[begin:]), sum(b[begin:]))) != (0, 0):
        yield errors


def error_positions(reference: Tokens, hypothesis: Tokens) -> list[int]:
    """Return the number of errors at each place of a reference of N tokens.

    Place 2 n + 1 is token n, with 1 if it is wrong or missing; place 2 n is before token n, with the number of tokens
    that are inserted there. There are 2 N + 1 places.
    """
    errors = [0] * (2 * len(reference) + 1)
    token = 0
    for operation, _, _ in align(reference, hypothesis):
        if operation == "insertion":
            errors[2 * token] += 1
        else:
            errors[2 * token + 1] = int(operation != "hit")
            token += 1
    return errors
