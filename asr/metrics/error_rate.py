"""Word, character and phone error rates by minimum edit distance, every error at cost 1.

Texts are compared as they are, except for white space: normalize reference and hypothesis first
(`Vocabulary.normalize_for_scoring`). Rates are fractions: 0.05 is 5 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Literal, TypeVar

from rapidfuzz.distance import Levenshtein

from asr.errors import InputError
from asr.utils.options import check_choice

Kind = Literal["wer", "cer", "per"]
UNITS: Mapping[str, str] = {"wer": "words", "cer": "characters", "per": "phones"}
Operation = Literal["hit", "substitution", "deletion", "insertion"]
Fold = Callable[[Sequence[str]], Sequence[str]]
Token = TypeVar("Token", bound=Hashable)


@dataclass(frozen=True)
class ErrorCounts:
    """Counts of one alignment, or the sum of several (``+`` and ``sum(…, ErrorCounts())``)."""

    hits: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    @classmethod
    def of_whole(cls, is_correct: bool) -> ErrorCounts:
        """Return the counts of an utterance that is right or wrong as a whole: one token."""
        return cls(hits=1) if is_correct else cls(substitutions=1)

    @property
    def reference(self) -> int:
        """Number of tokens in the reference."""
        return self.hits + self.substitutions + self.deletions

    @property
    def hypothesis(self) -> int:
        """Number of tokens in the hypothesis."""
        return self.hits + self.substitutions + self.insertions

    @property
    def errors(self) -> int:
        """Number of errors."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors per reference token; NaN without a reference token.

        In a sum, insertions into empty references count: it is all errors over all reference tokens.
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
    """Align two token sequences with the fewest errors.

    Among several such alignments rapidfuzz chooses, always the same one for the same input.

    Returns:
        (operation, reference token, hypothesis token) in order; None where there is no token.
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
    """Count the operations of `align`."""
    totals = dict.fromkeys(("equal", "replace", "delete", "insert"), 0)
    for tag, start, end, other_start, other_end in _opcodes(reference, hypothesis):
        totals[tag] += max(end - start, other_end - other_start)
    return ErrorCounts(totals["equal"], totals["replace"], totals["delete"], totals["insert"])


def count_nearest(references: Sequence[Sequence[Hashable]], hypothesis: Sequence[Hashable]) -> ErrorCounts:
    """Count the errors against that of several correct sequences which gives the lowest error rate."""
    return min((count(reference, hypothesis) for reference in references), key=lambda counts: counts.rate)


def _opcodes(reference: Sequence[Hashable], hypothesis: Sequence[Hashable]) -> Iterable[tuple[str, int, int, int, int]]:
    # tokens as numbers: rapidfuzz compares strings by hash, which differs from run to run and can collide
    numbers: dict[Hashable, int] = {}
    left, right = ([numbers.setdefault(t, len(numbers)) for t in tokens] for tokens in (reference, hypothesis))
    codes = Levenshtein.opcodes(left, right)
    return [(c.tag, c.src_start, c.src_end, c.dest_start, c.dest_end) for c in codes]


def tokens(kind: Kind, text: str, fold: Fold | None = None) -> list[str]:
    """Split a text into the tokens of an error rate.

    Args:
        kind: "wer" for words, "cer" for characters, single spaces between words included, "per" for phones.
        text: to split; white space at the ends is ignored.
        fold: maps the phones of "per", for instance `asr.text.phones.fold`.

    Raises:
        InputError: another kind.
    """
    check_choice("kind", kind, UNITS)
    units = text.split()
    if kind == "cer":
        return list(" ".join(units))
    return list(fold(units)) if fold and kind == "per" else units


def count_errors(kind: Kind, reference: str, hypothesis: str, fold: Fold | None = None) -> ErrorCounts:
    """Count the errors of one text over its `tokens`. Raises InputError for an unknown kind."""
    return count(tokens(kind, reference, fold), tokens(kind, hypothesis, fold))


def error_rate(references: str | Sequence[str], hypotheses: str | Sequence[str], kind: Kind = "wer") -> float:
    """Return the error rate of texts: all errors over all reference tokens.

    Args:
        references: correct texts, or one text.
        hypotheses: a text for each reference. Texts are compared as they are, except for white space.
        kind: "wer" of words, "cer" of characters, "per" of phones.

    Returns:
        The rate as a fraction: 0.05 is 5 %; it is above 1 where there are more errors than reference tokens. NaN
        without a reference token.

    Raises:
        InputError: an unknown kind, or not one hypothesis for each reference.
    """
    check_choice("kind", kind, UNITS)
    for texts in (references, hypotheses):
        if not isinstance(texts, Iterable) or isinstance(texts, (Mapping, Set)):
            raise InputError(f"references and hypotheses are lists of texts, or one text each; {texts!r} is none")
    pairs = [[texts] if isinstance(texts, str) else list(texts) for texts in (references, hypotheses)]
    if len(pairs[0]) != len(pairs[1]):
        raise InputError(f"{len(pairs[0])} references and {len(pairs[1])} hypotheses: give one for each")
    if strange := [text for texts in pairs for text in texts if not isinstance(text, str)]:
        raise InputError(f"references and hypotheses are texts; {strange[0]!r} is none")
    return sum((count_errors(kind, *pair) for pair in zip(*pairs, strict=True)), ErrorCounts()).rate


class ErrorRates:
    """Error rates of a corpus, accumulated over utterances.

    Args:
        kinds: of error rates.
        fold: maps the phones of "per", see `tokens`.

    Raises:
        InputError: an unknown kind.
    """

    def __init__(self, kinds: Sequence[Kind] = ("wer", "cer"), fold: Fold | None = None) -> None:
        for kind in kinds:
            tokens(kind, "")
        self.fold = fold
        self.utterances = 0
        self.counts: dict[Kind, ErrorCounts] = dict.fromkeys(kinds, ErrorCounts())

    def add(self, reference: str, hypothesis: str) -> dict[Kind, ErrorCounts]:
        """Add an utterance and return its own counts."""
        own = {kind: count_errors(kind, reference, hypothesis, self.fold) for kind in self.counts}
        self.utterances += 1
        for kind, counts in own.items():
            self.counts[kind] += counts
        return own

    @property
    def rates(self) -> dict[Kind, float]:
        """Rate of each kind; NaN before there is a reference token."""
        return {kind: counts.rate for kind, counts in self.counts.items()}
