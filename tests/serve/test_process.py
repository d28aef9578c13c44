"""A real server process: OpenAI's client, clients that are too slow, and its end."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from serving import TRANSCRIPTIONS, post

PATIENCE = 2.0  # seconds that the server has with its clients
COMMAND = [sys.executable, "-c", "import sys; from asr.cli import main; sys.exit(main())", "serve"]


class Process:
    """``asr serve`` with some options, and the address that it prints."""

    def __init__(self, *options: str) -> None:
        self.process = subprocess.Popen([*COMMAND, *options], stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        self.url = ""
        for line in self.process.stderr:
            if match := re.search(r"http://[^/]+", line):
                self.url = match[0]
                break
        assert self.url

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def client(self) -> Any:
        """Return a client whose requests the server's start may precede."""
        import httpx

        return httpx.Client(base_url=self.url, timeout=60, transport=httpx.HTTPTransport(retries=3))

    def connect(self) -> socket.socket:
        for _ in range(100):
            try:
                return socket.create_connection(("127.0.0.1", self.port), timeout=20)
            except ConnectionRefusedError:
                time.sleep(0.1)
        raise AssertionError("the server does not listen")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@pytest.fixture(scope="module")
def process(model_directory: Path) -> Iterator[Process]:
    options = ("--port", "0", "--model", str(model_directory), "--client-timeout", str(PATIENCE))
    process = Process(*options, "--batch-seconds", "30")
    yield process
    process.process.kill()
    process.process.wait()


@pytest.fixture(scope="module")
def http(process: Process) -> Iterator[Any]:
    with process.client() as client:
        yield client


def test_openais_client(process: Process, http: Any, recording: bytes, tmp_path: Path) -> None:
    openai = pytest.importorskip("openai")
    expected = post(http, recording, response_format="verbose_json").json()
    client = openai.OpenAI(base_url=f"{process.url}/v1", api_key="none", max_retries=0)
    (tmp_path / "speech.wav").write_bytes(recording)

    def create(**options: Any) -> Any:
        with open(tmp_path / "speech.wav", "rb") as file:
            return client.audio.transcriptions.create(file=file, model="whisper-1", **options)

    assert create().text == expected["text"]
    assert create(response_format="text").strip() == expected["text"]
    assert create(response_format="srt").startswith("1\n00:00:00,")
    verbose = create(response_format="verbose_json", timestamp_granularities=["word", "segment"], language="en")
    assert [word.word for word in verbose.words] == expected["text"].split()
    assert all(0 <= word.confidence <= 1 and word.start <= word.end for word in verbose.words)
    assert verbose.duration == expected["duration"] and verbose.segments[0].text
    events = list(create(stream=True, prompt="head, chef"))
    assert [event.type for event in events] == ["transcript.text.delta", "transcript.text.done"]
    assert events[-1].text == events[0].delta
    assert [model.id for model in client.models.list()] == ["ctc_text"]
    assert client.models.retrieve("ctc_text").object == "model"
    with pytest.raises(openai.BadRequestError, match="not audio"):
        client.audio.transcriptions.create(file=b"no audio at all", model="whisper-1")
    with pytest.raises(openai.NotFoundError, match="'ctc_text'"), open(tmp_path / "speech.wav", "rb") as file:
        client.audio.transcriptions.create(file=file, model="other")


def is_closed(connection: socket.socket) -> bool:
    """Wait for the end of a connection of which everything is read."""
    try:
        while connection.recv(1 << 16):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True


def test_clients_that_are_too_slow(process: Process, http: Any) -> None:
    head = f"POST {TRANSCRIPTIONS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    with process.connect() as silent, process.connect() as half_a_head, process.connect() as half_a_body:
        half_a_head.sendall(head.encode())
        half_a_body.sendall(f"{head}Content-Length: 1000\r\n\r\n--x\r\n".encode())
        answer = half_a_body.recv(1 << 16)
        assert answer.startswith(b"HTTP/1.1 408")
        assert is_closed(silent) and is_closed(half_a_head) and is_closed(half_a_body)
    assert "asr_active_uploads 0.0" in http.get("/metrics").text


def is_reset(connection: socket.socket) -> bool:
    """Wait until the other side has given a connection up of which nothing is read."""
    try:
        for _ in range(300):
            connection.sendall(b"G")
            time.sleep(0.1)
    except ConnectionError:
        return True
    return False


def test_clients_that_do_not_read(process: Process) -> None:
    with process.connect() as deaf:
        deaf.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1500)  # more than the buffers between hold
        assert is_reset(deaf)


def test_what_was_accepted_is_answered_after_a_signal(
    process: Process, http: Any, wav: Callable[..., bytes], waveforms: list[np.ndarray]
) -> None:
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    content = wav(np.tile(waveforms[6], 4))
    expected = post(http, content).json()["text"]
    count = 12
    address = f"ws://127.0.0.1:{process.port}/v1/listen"

    def send(_: int) -> Any:
        with process.client() as client:
            return post(client, content)

    def keep_speaking(live: Any) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                live.send(bytes(1600))
                time.sleep(0.1)

    with ThreadPoolExecutor(count + 1) as pool, connect(address) as live:
        live.send((waveforms[2] * 32767).astype("<i2").tobytes())
        assert json.loads(live.recv())["type"] == "ready"
        pool.submit(keep_speaking, live)
        waiting = [pool.submit(send, i) for i in range(count)]
        while f"asr_active_uploads {count}.0" not in http.get("/metrics").text:
            assert not all(future.done() for future in waiting), "too fast to be stopped in between"
        os.kill(process.process.pid, signal.SIGTERM)
        messages = [json.loads(message) for message in live]
        answers = [future.result() for future in waiting]
    assert [answer.status_code for answer in answers] == [200] * count
    assert {answer.json()["text"] for answer in answers} == {expected}
    assert messages[-1]["type"] == "done" and messages[-1]["duration"] > 1
    assert any(message["type"] == "final" and message["words"] for message in messages)
    assert process.process.wait(60) == 0
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", process.port), timeout=5)


def test_what_is_refused_before_the_model_is_loaded(asr: Callable[..., Any], model_directory: Path) -> None:
    asr("serve", "--model", model_directory, "--host", "0.0.0.0").check_refusal("needs a token: set ASR_TOKEN")
    asr("serve", "--model", "no/model").check_refusal("no/model")
    asr("serve", "--model", model_directory, "--max-minutes", "0").check_refusal("minutes=0")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        asr("serve", "--model", model_directory, "--port", port).check_refusal(f"--port {port}: .*in use")
