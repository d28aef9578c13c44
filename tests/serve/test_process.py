"""A real server process: OpenAI's client, clients that are too slow, and its end."""

from __future__ import annotations

import contextlib
import http.client
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
from serving import TRANSCRIPTIONS, post, wait_until

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
        self.connect().close()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def client(self) -> Any:
        import httpx

        return httpx.Client(base_url=self.url, timeout=60)

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
def client(process: Process) -> Iterator[Any]:
    with process.client() as client:
        yield client


def test_openais_client(process: Process, client: Any, recording: bytes, tmp_path: Path) -> None:
    openai = pytest.importorskip("openai")
    expected = post(client, recording, response_format="verbose_json").json()
    official = openai.OpenAI(base_url=f"{process.url}/v1", api_key="none", max_retries=0)
    (tmp_path / "speech.wav").write_bytes(recording)

    def create(**options: Any) -> Any:
        with open(tmp_path / "speech.wav", "rb") as file:
            return official.audio.transcriptions.create(file=file, model="whisper-1", **options)

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
    assert [model.id for model in official.models.list()] == ["ctc_text"]
    assert official.models.retrieve("ctc_text").object == "model"
    with pytest.raises(openai.BadRequestError, match="not audio"):
        official.audio.transcriptions.create(file=b"no audio at all", model="whisper-1")
    with pytest.raises(openai.NotFoundError, match="'ctc_text'"), open(tmp_path / "speech.wav", "rb") as file:
        official.audio.transcriptions.create(file=file, model="other")


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


def test_clients_that_are_too_slow(process: Process, client: Any) -> None:
    head = f"POST {TRANSCRIPTIONS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    with process.connect() as silent, process.connect() as half_a_head, process.connect() as half_a_body:
        half_a_head.sendall(head.encode())
        half_a_body.sendall(f"{head}Content-Length: 1000\r\n\r\n--x\r\n".encode())
        answer = half_a_body.recv(1 << 16)
        assert answer.startswith(b"HTTP/1.1 408")
        assert is_closed(silent) and is_closed(half_a_head) and is_closed(half_a_body)
    assert "asr_active_uploads 0.0" in client.get("/metrics").text


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


def begin_upload(process: Process, body: bytes) -> http.client.HTTPConnection:
    """Send a request but for its last byte."""
    connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=60)
    connection.putrequest("POST", TRANSCRIPTIONS)
    connection.putheader("Content-Type", "multipart/form-data; boundary=x")
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body[:-1])
    return connection


def test_what_was_accepted_is_answered_after_a_signal(
    process: Process, client: Any, recording: bytes, waveforms: list[np.ndarray]
) -> None:
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    def keep_speaking(live: Any) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                live.send(bytes(1600))
                time.sleep(0.1)

    expected = post(client, recording).json()["text"]
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + recording + b"\r\n--x--\r\n"
    count = 12
    address = f"ws://127.0.0.1:{process.port}/v1/listen"
    with ThreadPoolExecutor(1) as pool, connect(address) as live:
        live.send((waveforms[2] * 32767).astype("<i2").tobytes())
        assert json.loads(live.recv())["type"] == "ready"
        pool.submit(keep_speaking, live)
        uploads = [begin_upload(process, body) for _ in range(count)]
        wait_until(lambda: f"asr_active_uploads {count}.0" in client.get("/metrics").text, 20)
        os.kill(process.process.pid, signal.SIGTERM)
        for upload in uploads:
            upload.send(body[-1:])
        messages = [json.loads(message) for message in live]
    for upload in uploads:
        response = upload.getresponse()
        assert response.status == 200 and json.loads(response.read())["text"] == expected
    assert messages[-1]["type"] == "done" and messages[-1]["duration"] > 1
    assert any(message["type"] == "final" and message["words"] for message in messages)
    assert process.process.wait(60) == 0
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", process.port), timeout=5)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_the_model_is_loaded(model_directory: Path, number: signal.Signals) -> None:
    """The server must have a handler by then: without one, no signal ends the first process of a container."""
    stub = (
        "import sys, time, types\nstub = sys.modules['asr.serve.server'] = types.ModuleType('stub')\n"
        "stub.serve = lambda *a, **o: (print(flush=True), time.sleep(60))\n"
    )
    command = [*COMMAND[:2], stub + COMMAND[2], *COMMAND[3:], "--model", str(model_directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)
        assert process.wait(60) == 0


def test_what_is_refused_before_the_model_is_loaded(asr: Callable[..., Any], model_directory: Path) -> None:
    asr("serve", "--model", model_directory, "--host", "0.0.0.0").check_refusal("needs a token: set ASR_TOKEN")
    asr("serve", "--model", "no/model").check_refusal("no/model")
    asr("serve", "--model", model_directory, "--max-minutes", "0").check_refusal("minutes=0")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        asr("serve", "--model", model_directory, "--port", port).check_refusal(f"--port {port}: .*in use")
