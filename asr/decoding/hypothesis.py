"""What every search returns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hypothesis:
    """One label sequence that a search found.

    ``score`` is its natural-log score; ``frames[i]`` the span (first, last + 1) of frames that label i was read from,
    ``confidence[i]`` a probability for label i, each in the units of the scores that were searched. A search along a
    lexicon says which ``words`` it found: (number, first label, last + 1), the number -1 for an unknown word.
    """

    labels: tuple[int, ...]
    score: float
    frames: tuple[tuple[int, int], ...] = ()
    confidence: tuple[float, ...] = ()
    words: tuple[tuple[int, int, int], ...] = ()
