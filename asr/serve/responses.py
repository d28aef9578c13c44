"""Transcripts in the forms of OpenAI's answers."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from typing import Any

from starlette.responses import JSONResponse, PlainTextResponse, Response

from asr.output.cues import CueLimits, make_cues
from asr.output.formats import FORMATS, render
from asr.output.transcript import Transcript, Word

OPENAI_FORMATS = ("json", "text", "srt", "vtt", "verbose_json")
RESPONSE_FORMATS = (*OPENAI_FORMATS, *(name for name in FORMATS if name not in ("json", "txt", *OPENAI_FORMATS)))
GRANULARITIES = ("segment", "word")
MEDIA_TYPES = {"vtt": "text/vtt", "tsv": "text/tab-separated-values"}

# Segments are sentences, or parts of one between long pauses: cues of one long line with the times of their words.
SEGMENTS = CueLimits(characters=400, lines=1, seconds=30.0, min_seconds=0.001, characters_per_second=1e6)


def answer(transcript: Transcript, format: str, granularities: Collection[str] = (), language: str = "") -> Response:
    """Return the answer with a transcript.

    Args:
        transcript: the transcript.
        format: one of `RESPONSE_FORMATS`.
        granularities: of `GRANULARITIES`: what ``verbose_json`` lists; none: segments.
        language: of the transcript, for ``verbose_json``.
    """
    if format == "json":
        return JSONResponse({"text": transcript.text, "usage": usage(transcript)})
    if format == "verbose_json":
        return JSONResponse(verbose(transcript, granularities, language))
    content = render(transcript, "txt" if format == "text" else format)
    return PlainTextResponse(content, media_type=MEDIA_TYPES.get(format, "text/plain"))


def usage(transcript: Transcript) -> dict[str, Any]:
    """Return what OpenAI's service counts: the seconds of audio."""
    return {"type": "duration", "seconds": math.ceil(transcript.duration)}


def verbose(transcript: Transcript, granularities: Collection[str] = (), language: str = "") -> dict[str, Any]:
    """Return the object of ``verbose_json``: OpenAI's fields, and the confidence of words and segments."""
    content: dict[str, Any] = {
        "task": "transcribe",
        "language": language or "unknown",
        "duration": round(transcript.duration, 3),
        "text": transcript.text,
        "confidence": _rounded(transcript.confidence),
    }
    if not granularities or "segment" in granularities:
        content["segments"] = list(segments(transcript))
    if "word" in granularities:
        content["words"] = [word_object(word) for word in transcript.words]
    return content | {"usage": usage(transcript)}


def word_object(word: Word) -> dict[str, Any]:
    """Return a word as OpenAI writes it, with its confidence."""
    return {"word": word.text, "start": word.start, "end": word.end, "confidence": _rounded(word.confidence)}


def segments(transcript: Transcript) -> Iterator[dict[str, Any]]:
    """Yield the segments of a transcript; fields that only Whisper has are empty."""
    words = list(transcript.words)
    for number, cue in enumerate(make_cues(transcript, SEGMENTS) if words else ()):
        own = [word for word in words if round(1000 * word.start) < cue.end]
        words = words[len(own) :]
        confidence = sum(word.confidence for word in own) / len(own) if own else 0.0
        yield {
            "id": number,
            "seek": 0,
            "start": cue.start / 1000,
            "end": cue.end / 1000,
            "text": cue.text,
            "tokens": [],
            "temperature": 0.0,
            "avg_logprob": round(math.log(max(confidence, 1e-6)), 4),
            "compression_ratio": 1.0,
            "no_speech_prob": 0.0,
            "confidence": _rounded(confidence),
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)
