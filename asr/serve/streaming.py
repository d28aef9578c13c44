"""Transcripts as server-sent events, as OpenAI's service sends them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from asr.inference._live_writing import LiveWriter
from asr.output.transcript import Transcript, Word
from asr.output.writing import Writer, text_of
from asr.serve.errors import RequestError
from asr.serve.responses import usage


async def events(parts: AsyncIterator[list[Word] | Transcript], writer: Writer | None) -> AsyncIterator[str]:
    """Yield the events of a transcript.

    The deltas are written as the words are found; together they are the text, but for a mark that words after it would
    have changed. The last event has the text as a whole.

    Args:
        parts: bare words as they are found, and the transcript.
        writer: from bare words to readable text, as the transcript has it.
    """
    written = LiveWriter(writer)
    sent = ""
    try:
        async for part in parts:
            if isinstance(part, Transcript):
                if rest := _rest(part.text, sent):
                    yield _event({"type": "transcript.text.delta", "delta": rest})
                yield _event({"type": "transcript.text.done", "text": part.text, "usage": usage(part)})
            elif words := written.commit(part, (), False)[0]:
                delta = " " * bool(sent) + text_of(words)
                sent += delta
                yield _event({"type": "transcript.text.delta", "delta": delta})
    except RequestError as error:  # the status is sent already
        yield _event({"type": "error", **error.content})


def _rest(text: str, sent: str) -> str:
    """Return what of a text is still to be sent."""
    if text.startswith(sent):
        return text[len(sent) :]
    words = text.split()[len(sent.split()) :]
    return "".join(f" {word}" for word in words)


def _event(content: dict[str, Any]) -> str:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n"
