"""The result of every search."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hypothesis:
    """A label sequence found by a search.

    Attributes:
        labels: the sequence, without blanks or sentence boundaries.
        score: natural-log score of the sequence.
        frames: span (first, last + 1) of each label in frames of the scores that were searched; empty if unknown.
        confidence: probability of each label; empty if unknown.
        words: words (number, first label, last label + 1) of a search with a lexicon; the number of a word outside the
            lexicon is -1.
        model_score: what language models, bonuses and hot words added to the score.
        certainty: how sure the network is of what it hears around each label, see
            `asr.decoding.ctc.alignment.certainties`; empty if unknown.
    """

    labels: tuple[int, ...]
    score: float
    frames: tuple[tuple[int, int], ...] = ()
    confidence: tuple[float, ...] = ()
    words: tuple[tuple[int, int, int], ...] = ()
    model_score: float = 0.0
    certainty: tuple[float, ...] = ()


@dataclass(frozen=True)
class Alignment(Hypothesis):
    """The hypothesis of a text that was given.

    Attributes:
        fits: whether the text is about as probable as what the network recognizes.
        warnings: words that cannot be written, and what does not fit.
    """

    fits: bool = True
    warnings: tuple[str, ...] = ()
