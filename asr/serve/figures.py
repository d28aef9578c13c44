"""Figures of a server for Prometheus: requests, their time, audio, batches, the queue."""

from __future__ import annotations

import time
from collections.abc import Callable

from prometheus_client import (
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    PROCESS_COLLECTOR,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ADDRESSES = ("/v1/audio/transcriptions", "/v1/align", "/v1/listen", "/v1/models", "/health", "/metrics")
SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Figures:
    """Counts what a server does."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
            self.registry.register(collector)
        own = self.registry
        self._requests = Counter("asr_requests", "Requests that are answered.", ["address", "status"], registry=own)
        self._seconds = Histogram(
            "asr_request_seconds",
            "From a request's head to the end of its answer.",
            ["address"],
            buckets=SECONDS,
            registry=own,
        )
        self._audio = Counter("asr_audio_seconds", "Seconds of audio that were transcribed or aligned.", registry=own)
        self._network = Counter("asr_network_seconds", "Seconds that network and search took.", registry=own)
        self._windows = Histogram(
            "asr_batch_windows", "Windows in a batch.", buckets=(1, 2, 4, 8, 16, 32, 64, 128), registry=own
        )
        self._active = Gauge("asr_active_uploads", "Uploads that are not answered yet.", registry=own)
        self._queue = Gauge("asr_queue_recordings", "Recordings in the queue.", registry=own)
        self._mean = 10.0

    @property
    def mean_seconds(self) -> float:
        """Seconds of audio of a recording, on average over the last ones."""
        return self._mean

    def watch(self, active: Callable[[], float], queue: Callable[[], float]) -> None:
        """Show what two functions return as the number of uploads and the length of the queue."""
        self._active.set_function(active)
        self._queue.set_function(queue)

    def transcribed(self, seconds: float) -> None:
        """Count a recording."""
        self._audio.inc(seconds)
        self._mean += 0.05 * (seconds - self._mean)

    def batch(self, windows: int, audio: float, took: float) -> None:
        """Count a batch; what `Engine` calls."""
        self._windows.observe(windows)
        self._network.inc(took)

    def render(self) -> tuple[bytes, str]:
        """Return the text and its media type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST

    def count(self, app: ASGIApp) -> ASGIApp:
        """Return an application that counts the requests of another one."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            path = scope["path"]
            address = path if path in ADDRESSES else "other"
            status = "0"  # of a client that was gone before its answer
            started = time.monotonic()

            async def watched(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = str(message["status"])
                await send(message)

            try:
                await app(scope, receive, watched)
            finally:
                self._requests.labels(address, status).inc()
                self._seconds.labels(address).observe(time.monotonic() - started)

        return counted
