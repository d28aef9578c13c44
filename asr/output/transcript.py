"""Transcripts of recordings, word by word."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Word:
    """A word of a transcript.

    Attributes:
        text: its spelling (or a phone).
        start: seconds.
        end: seconds.
        confidence: probability from 0 to 1 that it is right, calibrated if the decoder is.

    Raises:
        ValueError: unless 0 <= start <= end and all three numbers are finite.
    """

    text: str
    start: float
    end: float
    confidence: float

    def __post_init__(self) -> None:
        if not (0 <= self.start <= self.end < math.inf and math.isfinite(self.confidence)):
            raise ValueError(
                f"word {self.text!r} from {self.start} to {self.end} s with confidence {self.confidence}: "
                "use finite numbers with 0 <= start <= end"
            )


@dataclass(frozen=True)
class Alternative:
    """Another text for a recording, and how much lower its score (natural log) is than that of the best text."""

    text: str
    score_gap: float


@dataclass(frozen=True)
class Transcript:
    """The transcript of one recording.

    Attributes:
        text: the whole text.
        words: its words in order.
        duration: of the recording, in seconds.
        confidence: mean of the words' confidences, so on the same scale: the share of the words that is expected to be
            right. None if there is no word.
        source: path of the file; empty for a stream or an array.
        alternatives: the next best texts, if more than one hypothesis was asked for.
        channel: number of the channel that was transcribed, from 1; None: the mean of all.
        phones: the phones of the words, if words were searched or aligned with a head of phones.
        fits: whether a text that was aligned fits the recording; None: it was not given, but recognized.
        warnings: what is doubtful about an alignment.
        speaker: who speaks, if it is known.
        spoken: the bare words that were recognized, where ``words`` have punctuation, capitals or digits; empty where
            they have not.
    """

    text: str
    words: tuple[Word, ...]
    duration: float
    confidence: float | None = None
    source: str = ""
    alternatives: tuple[Alternative, ...] = ()
    channel: int | None = None
    phones: tuple[Word, ...] = ()
    fits: bool | None = None
    warnings: tuple[str, ...] = ()
    speaker: str = ""
    spoken: tuple[Word, ...] = ()

    @property
    def plain(self) -> Transcript:
        """The transcript with the bare words that were recognized as words and text."""
        if not self.spoken:
            return self
        return replace(self, text=" ".join(word.text for word in self.spoken), words=self.spoken, spoken=())

    def __str__(self) -> str:
        return self.text


def close_gaps(transcript: Transcript, seconds: float) -> Transcript:
    """Return a transcript whose words, and phones, meet in the middle of gaps of up to ``seconds``."""
    return replace(
        transcript,
        words=_closed(transcript.words, seconds),
        phones=_closed(transcript.phones, seconds),
        spoken=_closed(transcript.spoken, seconds),
    )


def _closed(words: tuple[Word, ...], seconds: float) -> tuple[Word, ...]:
    closed = list(words)
    for number in range(1, len(closed)):
        before, after = closed[number - 1], closed[number]
        if 0 < after.start - before.end <= seconds + 1e-6:
            middle = round((before.end + after.start) / 2, 3)
            closed[number - 1], closed[number] = replace(before, end=middle), replace(after, start=middle)
    return tuple(closed)
