"""Transcripts that a client sends, such as those that were edited on the page, in the file formats."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from asr.output.transcript import Transcript, Word

MAX_WORDS = 200_000  # of a transcript: more than anybody says in a day
MAX_BYTES = 32_000_000  # of a request with as many
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


class WordDocument(BaseModel):
    """A word, as in the files of ``asr transcribe --format json``."""

    text: str
    start: Seconds
    end: Seconds
    confidence: Share = 1.0


class TranscriptDocument(BaseModel):
    """A transcript, as in the files of ``asr transcribe --format json``; without ``text`` it is that of the words."""

    words: Annotated[list[WordDocument], Field(max_length=MAX_WORDS)]
    text: str | None = None
    duration: Seconds = 0.0
    confidence: Share | None = None
    source: str = ""

    def transcript(self) -> Transcript:
        """Return the transcript.

        Raises:
            ValueError: a word that ends before it starts.
        """
        words = tuple(Word(word.text, word.start, word.end, word.confidence) for word in self.words)
        text = " ".join(word.text for word in words) if self.text is None else self.text
        duration = max([self.duration, *(word.end for word in words)])
        return Transcript(text, words, duration, self.confidence, self.source)
