"""Transcripts as server-sent events."""

from __future__ import annotations

import json
from collections.abc import Iterator

from starlette.responses import StreamingResponse

from asr.output.transcript import Transcript
from asr.serve.responses import segments, usage


def event_stream(transcript: Transcript) -> StreamingResponse:
    """Return the answer of ``stream=true``: the text in parts, then the whole."""
    return StreamingResponse(_events(transcript), media_type="text/event-stream")


def _events(transcript: Transcript) -> Iterator[str]:
    for number, segment in enumerate(segments(transcript)):
        yield _event({"type": "transcript.text.delta", "delta": " " * bool(number) + segment["text"]})
    yield _event({"type": "transcript.text.done", "text": transcript.text, "usage": usage(transcript)})


def _event(content: dict[str, object]) -> str:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n"
