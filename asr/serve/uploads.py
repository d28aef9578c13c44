"""Uploads and their way through the queue: an answer, events, or the end of a client's patience."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from fastapi import Request, UploadFile

from asr.audio.open import NAMELESS
from asr.errors import InputError
from asr.inference.recognizer import Recognizer
from asr.output.transcript import Transcript, Word
from asr.serve.engine import Engine, Job
from asr.serve.errors import RequestError
from asr.serve.limits import Limits

T = TypeVar("T")


class Uploads:
    """Sends uploads to the queue, and waits for their transcripts.

    Args:
        engine: the queue.
        limits: of the server.
        on_transcript: called with the seconds of audio of each transcript.
    """

    def __init__(self, engine: Engine, limits: Limits, on_transcript: Callable[[float], None]) -> None:
        self.engine = engine
        self.limits = limits
        self.on_transcript = on_transcript

    async def transcript(self, request: Request, recognizer: Recognizer, file: UploadFile) -> Transcript:
        """Return the transcript of an upload.

        Raises:
            RequestError: it cannot be read, takes too long, or the client is gone.
        """
        async with self._submitted(recognizer, file) as job:
            await self._wait(asyncio.wrap_future(job.result), request)
            return self._result(job)

    async def parts(
        self, request: Request, recognizer: Recognizer, file: UploadFile
    ) -> AsyncIterator[list[Word] | Transcript]:
        """Return an iterator over words of an upload, without punctuation, as they are found, and its transcript.

        Raises:
            RequestError: as `transcript`, also while the parts are taken.
        """
        loop = asyncio.get_running_loop()
        found: asyncio.Queue[list[Word] | None] = asyncio.Queue()

        def tell(words: list[Word] | None) -> None:
            loop.call_soon_threadsafe(found.put_nowait, words)

        stack = contextlib.AsyncExitStack()
        job = await stack.enter_async_context(self._submitted(recognizer, file, tell))
        job.result.add_done_callback(lambda _: tell(None))
        end = time.monotonic() + self.limits.timeout
        try:
            first = await self._wait(asyncio.ensure_future(found.get()), request)
            if first is None:
                self._result(job, count=False)  # an error is not answered with events
        except BaseException:
            await stack.aclose()
            raise

        async def following() -> AsyncIterator[list[Word] | Transcript]:
            async with stack:
                words = first
                while words is not None:
                    yield words
                    try:
                        words = await asyncio.wait_for(found.get(), max(0.0, end - time.monotonic()))
                    except asyncio.TimeoutError:
                        raise self._too_late() from None
                yield self._result(job)

        return following()

    @contextlib.asynccontextmanager
    async def _submitted(
        self, recognizer: Recognizer, file: UploadFile, on_words: Callable[[list[Word]], None] | None = None
    ) -> AsyncIterator[Job]:
        """Put an upload in the queue, and take it out again; nothing reads it after that."""
        job = self.engine.submit(recognizer, file.file, max_seconds=60 * self.limits.minutes, on_words=on_words)
        try:
            yield job
        finally:
            self.engine.cancel(job)
            await asyncio.shield(asyncio.wrap_future(job.released))

    async def _wait(self, waited: asyncio.Future[T], request: Request) -> T | None:
        """Wait for something, within the limit of time and while the client is there; None if it is an error."""
        gone = asyncio.ensure_future(disconnected(request))
        try:
            waiting: set[asyncio.Future[Any]] = {waited, gone}
            await asyncio.wait(waiting, timeout=self.limits.timeout, return_when=asyncio.FIRST_COMPLETED)
            if waited.done():
                return waited.result() if waited.exception() is None else None
            raise RequestError(499, "the client is gone") if gone.done() else self._too_late()
        finally:
            gone.cancel()
            waited.cancel()

    def _too_late(self) -> RequestError:
        return RequestError(503, f"not finished within {self.limits.timeout:g} s", "timeout")

    def _result(self, job: Job, count: bool = True) -> Transcript:
        """Return the transcript of a job that is done."""
        try:
            transcript = job.result.result()
        except InputError as error:
            raise RequestError(400, str(error).removeprefix(f"{NAMELESS}: "), "invalid_audio", "file") from None
        if count:
            self.on_transcript(transcript.duration)
        return transcript


async def disconnected(request: Request) -> None:
    """Wait until a client is gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
