"""What was said in a recording, word by word, and the text files that hold it."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Word:
    """One word: ``start`` and ``end`` in seconds, ``confidence`` from 0 to 1.

    Raises ValueError unless 0 <= start <= end and all three are finite.
    """

    text: str
    start: float
    end: float
    confidence: float

    def __post_init__(self) -> None:
        if not (0 <= self.start <= self.end < math.inf and math.isfinite(self.confidence)):
            raise ValueError(
                f"word {self.text!r} from {self.start} to {self.end} s with confidence {self.confidence}: "
                "0 <= start <= end and finite numbers are wanted"
            )


@dataclass(frozen=True)
class Alternative:
    """Another text, and how much (natural log) the search preferred the first one."""

    text: str
    behind: float


@dataclass(frozen=True)
class Transcript:
    """The words of one recording of ``duration`` seconds, in their order; ``source`` names its file.

    ``alternatives`` are the next best texts, where the search was asked for some.
    """

    text: str
    words: tuple[Word, ...]
    duration: float
    confidence: float | None = None
    source: str = ""
    alternatives: tuple[Alternative, ...] = ()

    def __str__(self) -> str:
        return self.text
