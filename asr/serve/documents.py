"""Transcripts that a client sends, such as those that were edited on the page, in the file formats."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from asr.errors import InputError
from asr.output.transcript import Transcript, Word

MAX_BYTES = 8_000_000  # of a request: the words of ten hours
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
# Half of a surrogate pair, such as an editor leaves of an emoji, is no character: it becomes U+FFFD, as in browsers.
Text = Annotated[str, AfterValidator(lambda text: re.sub("[\ud800-\udfff]", "\ufffd", text))]


class WordDocument(BaseModel):
    """A word, as in the files of ``asr transcribe --format json``."""

    text: Text
    start: Seconds
    end: Seconds
    confidence: Share = 1.0


class TranscriptDocument(BaseModel):
    """A transcript, as in the files of ``asr transcribe --format json``; without ``text`` it is that of the words."""

    words: list[WordDocument]
    text: Text | None = None
    duration: Seconds = 0.0
    confidence: Share | None = None
    source: Text = ""

    def transcript(self) -> Transcript:
        """Return the transcript.

        Raises:
            InputError: a word that ends before it starts.
        """
        try:
            words = tuple(Word(word.text, word.start, word.end, word.confidence) for word in self.words)
        except ValueError as error:
            raise InputError(str(error)) from None
        text = " ".join(word.text for word in words) if self.text is None else self.text
        duration = max([self.duration, *(word.end for word in words)])
        return Transcript(text, words, duration, self.confidence, self.source)
