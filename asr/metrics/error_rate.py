"""Word, character and phone error rates by minimum edit distance, every error at cost 1.

Texts are compared as they are given, but for white space: normalise both sides first (Vocabulary.scoring).
Rates are fractions: 0.05 is 5 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from rapidfuzz.distance import Levenshtein

from asr.errors import InputError

Kind = Literal["wer", "cer", "per"]
UNITS: Mapping[str, str] = {"wer": "words", "cer": "characters", "per": "phones"}
Operation = Literal["hit", "substitution", "deletion", "insertion"]
Fold = Callable[[Sequence[str]], Sequence[str]]
Token = TypeVar("Token", bound=Hashable)


@dataclass(frozen=True)
class ErrorCounts:
    """Counts of one alignment, or of many added up (``+`` and ``sum(…, ErrorCounts())``)."""

    hits: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    @property
    def reference(self) -> int:
        """Tokens in the reference."""
        return self.hits + self.substitutions + self.deletions

    @property
    def hypothesis(self) -> int:
        """Tokens in the hypothesis."""
        return self.hits + self.substitutions + self.insertions

    @property
    def errors(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors per reference token; NaN without a reference token.

        In a sum, insertions into empty references do count: all errors over all reference tokens.
        """
        return self.errors / self.reference if self.reference else math.nan

    def __add__(self, other: ErrorCounts) -> ErrorCounts:
        return ErrorCounts(
            self.hits + other.hits,
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
        )


def align(
    reference: Sequence[Token], hypothesis: Sequence[Token]
) -> list[tuple[Operation, Token | None, Token | None]]:
    """One alignment of two token sequences with the fewest errors, in order.

    Where several have as few, the choice is rapidfuzz's; it always is the same for the same input.
    """
    pairs: list[tuple[Operation, Token | None, Token | None]] = []
    for tag, start, end, other_start, other_end in _opcodes(reference, hypothesis):
        left, right = reference[start:end], hypothesis[other_start:other_end]
        if tag == "delete":
            pairs += [("deletion", token, None) for token in left]
        elif tag == "insert":
            pairs += [("insertion", None, token) for token in right]
        else:
            operation: Operation = "hit" if tag == "equal" else "substitution"
            pairs += [(operation, a, b) for a, b in zip(left, right, strict=True)]
    return pairs


def count(reference: Sequence[Hashable], hypothesis: Sequence[Hashable]) -> ErrorCounts:
    """The counts of `align`."""
    totals = dict.fromkeys(("equal", "replace", "delete", "insert"), 0)
    for tag, start, end, other_start, other_end in _opcodes(reference, hypothesis):
        totals[tag] += max(end - start, other_end - other_start)
    return ErrorCounts(totals["equal"], totals["replace"], totals["delete"], totals["insert"])


def count_nearest(references: Sequence[Sequence[Hashable]], hypothesis: Sequence[Hashable]) -> ErrorCounts:
    """The counts against that of several right sequences which it has the lowest rate of errors with."""
    return min((count(reference, hypothesis) for reference in references), key=lambda counts: counts.rate)


def _opcodes(reference: Sequence[Hashable], hypothesis: Sequence[Hashable]) -> Iterable[tuple[str, int, int, int, int]]:
    # numbers for tokens: strings would be compared by hash, which differs from run to run and can collide
    numbers: dict[Hashable, int] = {}
    left, right = ([numbers.setdefault(t, len(numbers)) for t in tokens] for tokens in (reference, hypothesis))
    codes = Levenshtein.opcodes(left, right)
    return [(c.tag, c.src_start, c.src_end, c.dest_start, c.dest_end) for c in codes]


def tokens(kind: Kind, text: str, fold: Fold | None = None) -> list[str]:
    """What a rate counts in a text: words; characters, single spaces between words included; phones.

    ``fold`` maps the phones of "per" (for instance ``asr.text.phones.fold``); the others ignore it.
    """
    if kind not in UNITS:
        raise InputError(f"error rate {kind!r} is not one of {', '.join(UNITS)}")
    units = text.split()
    if kind == "cer":
        return list(" ".join(units))
    return list(fold(units)) if fold and kind == "per" else units


def word_errors(reference: str, hypothesis: str) -> ErrorCounts:
    """Errors over words, which white space separates."""
    return count(tokens("wer", reference), tokens("wer", hypothesis))


def character_errors(reference: str, hypothesis: str) -> ErrorCounts:
    """Errors over characters (code points); white space counts as one character, at the ends as none."""
    return count(tokens("cer", reference), tokens("cer", hypothesis))


def phone_errors(reference: str, hypothesis: str, fold: Fold | None = None) -> ErrorCounts:
    """Errors over phones, which white space separates, after ``fold`` of both sides if it is given."""
    return count(tokens("per", reference, fold), tokens("per", hypothesis, fold))


class ErrorRates:
    """Error rates of a corpus, collected utterance by utterance (in validation, say)."""

    def __init__(self, kinds: Sequence[Kind] = ("wer", "cer"), fold: Fold | None = None) -> None:
        for kind in kinds:
            tokens(kind, "")
        self.fold = fold
        self.utterances = 0
        self.counts: dict[Kind, ErrorCounts] = dict.fromkeys(kinds, ErrorCounts())

    def add(self, reference: str, hypothesis: str) -> dict[Kind, ErrorCounts]:
        """Count one utterance; its own counts are returned."""
        one = {
            kind: count(tokens(kind, reference, self.fold), tokens(kind, hypothesis, self.fold)) for kind in self.counts
        }
        self.utterances += 1
        for kind, counts in one.items():
            self.counts[kind] += counts
        return one

    @property
    def rates(self) -> dict[Kind, float]:
        """Rate of each kind; NaN before there is a reference token."""
        return {kind: counts.rate for kind, counts in self.counts.items()}
