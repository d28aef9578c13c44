"""Live recognition over a WebSocket: 16-bit PCM in, partial and final words out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from starlette.websockets import WebSocket, WebSocketDisconnect

from asr.audio import SAMPLE_RATES
from asr.errors import InputError
from asr.inference.live import STEP_SECONDS, Committed, Live, LiveEvent, Partial
from asr.serve.engine import Engine
from asr.serve.errors import RequestError
from asr.serve.guard import check_token, is_token
from asr.serve.limits import Limits
from asr.serve.model import ServedModel
from asr.serve.responses import word_object

MAX_WAITING_SECONDS = 30.0  # of audio that is not read yet; the client waits beyond it
CODES = {401: 1008, 408: 1008, 429: 1013, 500: 1011, 503: 1013}  # of a WebSocket's end, by the status of the error


class Listeners:
    """The live sessions of a server.

    Args:
        model: what recognizes.
        engine: reads the audio between two batches of recordings.
        limits: of the server.
        token: that a session's first message must have, or its header ``Authorization``; empty: none.
    """

    def __init__(self, model: ServedModel, engine: Engine, limits: Limits, token: str = "") -> None:
        self.model = model
        self.engine = engine
        self.limits = limits
        self.token = token
        self.count = 0
        self._stopping = asyncio.Event()

    async def stop(self) -> None:
        """End the sessions: each gets the last words of what was sent."""
        self._stopping.set()
        end = time.monotonic() + self.limits.client_timeout
        while self.count and time.monotonic() < end:
            await asyncio.sleep(0.02)

    async def serve(self, socket: WebSocket) -> None:
        """Handle a session."""
        await socket.accept()
        self.count += 1
        try:
            await self._handle(socket)
        except RequestError as error:
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):
                await self._send(socket, {"type": "error", **error.content})
                await socket.close(CODES.get(error.status_code, 1007), error.reason)
        except (WebSocketDisconnect, asyncio.TimeoutError):
            pass  # the client is gone, or does not read
        finally:
            self.count -= 1

    async def _handle(self, socket: WebSocket) -> None:
        if self.count > self.limits.listeners or self._stopping.is_set():
            raise RequestError(
                429, f"this server has {self.limits.listeners} live sessions at most", "too_many_sessions"
            )
        inbox = _Inbox(socket, self.limits.client_timeout)
        options = dict(socket.query_params)
        first = await inbox.next()
        if isinstance(first, dict) and first.get("type") == "start":
            options |= first
            first = None
        if self.token and not is_token(str(options.get("token", "")) if first is None else "", self.token):
            check_token(socket.headers, self.token)
        rate = sample_rate_of(options.get("sample_rate", self.model.sample_rate))
        prompt = options.get("prompt") or ""
        if not isinstance(prompt, str):
            raise RequestError(400, "prompt: use a string, words with commas between them", "invalid_value", "prompt")
        try:
            recognizer = await asyncio.to_thread(self.model.with_hotwords, prompt)
        except InputError as error:
            raise RequestError(400, str(error), "invalid_value", "prompt") from None
        live = Live(recognizer)
        await self._send(socket, {"type": "ready", "sample_rate": rate})
        await self._listen(socket, inbox, first, live, rate)

    async def _listen(self, socket: WebSocket, inbox: _Inbox, first: Any, live: Live, rate: int) -> None:
        """Read the audio of a session until its end."""
        audio = _Audio(rate, live.sample_rate)
        shown: Partial = Partial(())

        async def tell(found: Callable[[], Sequence[LiveEvent]]) -> None:
            nonlocal shown
            events = list(await asyncio.wrap_future(self.engine.call(found)))
            if events and isinstance(events[-1], Committed) and shown.words:
                events.append(shown)  # the words after the committed ones are the same
            for event in events:
                if isinstance(event, Partial):
                    shown = event
                await self._send(socket, message_of(event))

        receiving = asyncio.ensure_future(self._receive(inbox, first, audio))
        try:
            while True:
                await audio.wait(STEP_SECONDS)
                samples = audio.take()
                if live.seconds + len(samples) / live.sample_rate > 60 * self.limits.minutes:
                    raise RequestError(400, f"a session is {self.limits.minutes:g} minutes at most", "too_long")
                if audio.is_complete:
                    break
                await tell(partial(live.feed, samples))
            await receiving  # raises its error
            await tell(lambda: [*live.feed(samples), *live.finish()])
            await self._send(socket, {"type": "done", "duration": round(live.seconds, 3)})
            await socket.close()
        finally:
            receiving.cancel()

    async def _receive(self, inbox: _Inbox, first: Any, audio: _Audio) -> None:
        """Put what a client sends into ``audio`` until it ends, or the server stops."""
        stopping = asyncio.ensure_future(self._stopping.wait())
        message = first
        try:
            while True:
                if isinstance(message, bytes):
                    await audio.add(message)
                elif isinstance(message, dict) and message.get("type") in ("end", "stop"):
                    return
                elif message is not None:
                    raise RequestError(400, 'unknown message; use audio, or {"type": "end"}', "invalid_message")
                following = asyncio.ensure_future(inbox.next())
                await asyncio.wait({following, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if not following.done():
                    following.cancel()
                    return
                message = following.result()
        finally:
            stopping.cancel()
            audio.end()

    async def _send(self, socket: WebSocket, content: dict[str, Any]) -> None:
        await asyncio.wait_for(socket.send_text(json.dumps(content, ensure_ascii=False)), self.limits.client_timeout)


class _Inbox:
    """The messages of a client."""

    def __init__(self, socket: WebSocket, patience: float) -> None:
        self._socket = socket
        self._patience = patience

    async def next(self) -> Any:
        """Return the bytes of audio, or the object of a text.

        Raises:
            RequestError: nothing came for too long, or a text is no object.
            WebSocketDisconnect: the client is gone.
        """
        try:
            message = await asyncio.wait_for(self._socket.receive(), self._patience)
        except asyncio.TimeoutError:
            raise RequestError(408, f"nothing came for {self._patience:g} s", "timeout") from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1006))
        if message.get("bytes") is not None:
            return message["bytes"]
        try:
            content = json.loads(message["text"])
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise RequestError(400, "a text that is no JSON object", "invalid_message")
        return content


class _Audio:
    """Samples that wait to be read, at the model's sample rate."""

    def __init__(self, rate: int, model_rate: int) -> None:
        import soxr

        self.is_complete = False
        self._rate = rate
        self._pieces: list[bytes] = []
        self._odd = b""  # the first half of a sample
        self._size = 0
        self._changed = asyncio.Event()
        self._taken = asyncio.Event()
        self._resampler = None if rate == model_rate else soxr.ResampleStream(rate, model_rate, 1, dtype="float32")

    async def add(self, content: bytes) -> None:
        """Add bytes of 16-bit samples; wait while there are too many."""
        while self._seconds > MAX_WAITING_SECONDS:
            self._taken.clear()
            await self._taken.wait()
        content = self._odd + content
        even = len(content) // 2 * 2
        self._odd = content[even:]
        self._pieces.append(content[:even])
        self._size += even
        self._changed.set()

    def end(self) -> None:
        """Tell that nothing follows."""
        self.is_complete = True
        self._changed.set()

    @property
    def _seconds(self) -> float:
        return self._size / 2 / self._rate

    async def wait(self, seconds: float) -> None:
        """Wait for as many seconds of audio, or the end."""
        while not self.is_complete and self._seconds < seconds:
            self._changed.clear()
            await self._changed.wait()

    def take(self) -> np.ndarray:
        """Return the samples (S,) that wait."""
        samples = np.frombuffer(b"".join(self._pieces), "<i2").astype(np.float32) / 32768
        self._pieces, self._size = [], 0
        self._taken.set()
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples, last=self.is_complete)
        return samples


def message_of(event: LiveEvent) -> dict[str, Any]:
    """Return the message of committed or partial words."""
    content = {"text": event.text, "words": [word_object(word) for word in event.words]}
    if isinstance(event, Committed):
        return {"type": "final", **content, "is_end": event.is_end}
    return {"type": "partial", **content}


def sample_rate_of(value: object) -> int:
    """Return a sample rate that a client gives, in Hz.

    Raises:
        RequestError: it is none.
    """
    least, most = SAMPLE_RATES
    try:
        rate = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        rate = math.nan
    if not least <= rate <= most or rate != int(rate):
        raise RequestError(400, f"sample_rate={value!r}: use {least} to {most} Hz", "invalid_value", "sample_rate")
    return int(rate)
