"""A server for the tests of the page of `asr serve`, with fixed words in the place of a model."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import soundfile

from asr.errors import InputError
from asr.output.transcript import Transcript, Word

PATIENCE = 60.0  # seconds for the server's start and end
SECONDS = 10.0
RATE = 16_000
TEXT = "The idle hour came and went, just like the whirled. Mourning fog hid the meadows and the hills"
DOUBTFUL = {"whirled.": 0.31, "Mourning": 0.42, "hid": 0.28}


def _words() -> tuple[Word, ...]:
    texts = TEXT.split()
    # a pause before the second sentence begins a paragraph
    starts = [0.5 + 0.4 * i + (1.6 if i >= texts.index("Mourning") else 0.0) for i in range(len(texts))]
    return tuple(
        Word(text, round(start, 2), round(start + 0.35, 2), DOUBTFUL.get(text, 0.9))
        for text, start in zip(texts, starts, strict=True)
    )


WORDS = _words()
TRANSCRIPT = Transcript(TEXT, WORDS, SECONDS, sum(word.confidence for word in WORDS) / len(WORDS), "speech.wav")


@dataclass
class FixedModel:
    """A model without a network."""

    name: str = "fixed"
    sample_rate: int = RATE
    recognizer: Any = None
    prompts: list[str] = field(default_factory=list)

    def has_name(self, name: str) -> bool:
        return name in ("", self.name)

    def with_hotwords(self, prompt: str) -> Any:
        self.prompts.append(prompt)
        return self.recognizer


class FixedJob:
    """A recording whose transcript is awaited."""

    def __init__(self) -> None:
        self.result: Future[Transcript] = Future()
        self.released: Future[None] = Future()
        self.released.set_result(None)


class FixedEngine:
    """Answers every recording with `WORDS`, and what is silent with none, while ``gate`` is open."""

    speed = 1.0
    backlog = 0

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()

    def submit(self, recognizer: Any, source: Any, **options: Any) -> FixedJob:
        job = FixedJob()
        try:
            samples, rate = soundfile.read(source)
        except soundfile.LibsndfileError:
            job.result.set_exception(InputError("the recording cannot be read: it is of no known audio format"))
            return job
        words = WORDS if np.any(samples) else ()
        text = " ".join(word.text for word in words)
        transcript = Transcript(text, words, len(samples) / rate, None if not words else TRANSCRIPT.confidence)

        def answer() -> None:
            self.gate.wait()
            if not job.result.done():
                job.result.set_result(transcript)

        threading.Thread(target=answer, daemon=True).start()
        return job

    def cancel(self, job: FixedJob) -> None:
        job.result.cancel()

    def close(self) -> None:
        pass


@dataclass
class Served:
    """A server that runs: its address, and what answers."""

    url: str
    model: FixedModel
    engine: FixedEngine
    stop: Callable[[], None]


def start(token: str = "") -> Served:
    import uvicorn

    from asr.serve.app import make_app

    model, engine = FixedModel(), FixedEngine()
    app = make_app(model, engine, token=token)  # type: ignore[arg-type]
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()

    def stop() -> None:
        engine.gate.set()
        server.should_exit = True
        thread.join(PATIENCE)
        assert not thread.is_alive(), "the server does not stop"
        listener.close()

    deadline = time.monotonic() + PATIENCE
    while not server.started:
        assert time.monotonic() < deadline, "the server does not start"
        time.sleep(0.02)
    return Served(f"http://127.0.0.1:{listener.getsockname()[1]}", model, engine, stop)
