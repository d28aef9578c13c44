"""``asr serve`` under load: 1, 8 and 64 clients, each of which sends one file of 10 s after another.

    python benchmarks/serve.py [--quick] [--json FILE] [--model MODEL] [--audio DIR] [--pinned ROUNDS]

Printed are requests a second, the median and the 99th percentile of the time to an answer, and the server's memory.
Beside them, in the same process as this script and with nothing else running: the same files in one call of
`Recognizer.transcribe_all`, which is one big batch (target: 64 clients get 90 % of its speed), and one file after
another, which is what a server with a lock around its model does at best.

Then 64 clients send requests, each on a new connection, and the server gets SIGTERM in between. Counted are answers,
connections that were refused, and requests that were lost: on a connection that was accepted, without an answer. The
texts of all answers must be those of the batch.

Without ``--audio`` (a folder, of which the first 64 files are used, cut to 10 s) the files are cuts of the recordings
in recipes/english/clips, one after another. ``--quick`` takes a quarter of the requests.

``--pinned 3`` does something else: two servers, with and without ``--pin-threads``, get the load of 8 and of 64 clients
in turn, three times each. Printed is the median of the rounds, and each round.
"""

from __future__ import annotations

import http.client
import io
import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from _common import Report, arguments

import asr

SECONDS, RATE, FILES = 10, 16000, 64
CLIENTS = {1: 16, 8: 64, 64: 256}  # requests of all clients together
TARGET = 0.9
CLIPS = Path(__file__).parents[1] / "recipes" / "english" / "clips"
BOUNDARY = "asr-benchmark"
COMMAND = [sys.executable, "-c", "import sys; from asr.cli import main; sys.exit(main())", "serve", "--port", "0"]


def make_files(folder: str) -> list[bytes]:
    """Return the files: 16-bit WAV of 10 s each."""
    from asr import audio

    paths = sorted(Path(folder).iterdir())[:FILES] if folder else sorted(CLIPS.glob("*.opus"))
    speech = [audio.read(str(path), RATE) for path in paths]
    if not folder:
        rng = np.random.default_rng(0)
        speech = [np.roll(np.concatenate(speech), rng.integers(len(speech[0]))) for _ in range(FILES)]
    files = []
    for samples in speech:
        file = io.BytesIO()
        soundfile.write(file, np.resize(samples, SECONDS * RATE), RATE, format="WAV", subtype="PCM_16")
        files.append(file.getvalue())
    return files


def body_of(content: bytes) -> bytes:
    """Return a form with a file."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    return head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()


def send(connection: http.client.HTTPConnection, body: bytes) -> str:
    """Send a request; return the text of the answer."""
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    connection.request("POST", "/v1/audio/transcriptions", body, headers)
    response = connection.getresponse()
    content = json.loads(response.read())
    if response.status != 200:
        raise RuntimeError(f"status {response.status}: {content}")
    return str(content["text"])


class Server:
    """A server process."""

    def __init__(self, model: str, *options: str) -> None:
        self.process = subprocess.Popen([*COMMAND, "--model", model, *options], stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        line = next(line for line in self.process.stderr if "http://" in line)
        match = re.search(r":(\d+)/", line)
        assert match
        self.port = int(match[1])
        while True:
            try:
                self.memory()
                return
            except ConnectionRefusedError:
                time.sleep(0.05)

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)

    def memory(self) -> float:
        """Return the memory of the server in MB."""
        connection = self.connect()
        connection.request("GET", "/metrics")
        match = re.search(r"^process_resident_memory_bytes (\S+)", connection.getresponse().read().decode(), re.M)
        connection.close()
        assert match
        return float(match[1]) / 1e6


def load(server: Server, bodies: Sequence[bytes], texts: Sequence[str], clients: int, requests: int) -> Any:
    """Send requests; return those a second, and the seconds of each."""
    numbers = iter(range(requests))
    lock = threading.Lock()
    seconds: list[float] = []

    def client() -> None:
        connection = server.connect()
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                connection.close()
                return
            begin = time.perf_counter()
            text = send(connection, bodies[number % len(bodies)])
            seconds.append(time.perf_counter() - begin)
            assert text == texts[number % len(bodies)], "another text than in one batch"

    begin = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        for future in [pool.submit(client) for _ in range(clients)]:
            future.result()
    return requests / (time.perf_counter() - begin), seconds


def stop(server: Server, bodies: Sequence[bytes], texts: Sequence[str], clients: int) -> Counter[str]:
    """Send requests until the server is gone, which is told to stop meanwhile; count what becomes of them."""
    outcomes: Counter[str] = Counter()
    lock = threading.Lock()

    def client(number: int) -> None:
        while True:
            connection = server.connect()
            try:
                connection.connect()
            except ConnectionError:
                with lock:
                    outcomes["refused"] += 1
                return
            try:
                text = send(connection, bodies[number % len(bodies)])
                outcome = "answered" if text == texts[number % len(bodies)] else "wrong"
            except (OSError, http.client.HTTPException, RuntimeError):
                outcome = "lost"
            connection.close()
            with lock:
                outcomes[outcome] += 1
            if outcome == "lost":
                return

    with ThreadPoolExecutor(clients) as pool:
        waiting = [pool.submit(client, number) for number in range(clients)]
        time.sleep(3)
        server.process.send_signal(signal.SIGTERM)
        for future in waiting:
            future.result()
    outcomes["exit status"] = server.process.wait(600)
    return outcomes


def compare_pinned(model: str, bodies: Sequence[bytes], texts: Sequence[str], rounds: int, share: int) -> Report:
    """Send the same requests to a server of pinned threads and to one of free ones, in turn."""
    report = Report()
    servers = {"free": Server(model), "pinned": Server(model, "--pin-threads")}
    for clients, requests in list(CLIENTS.items())[1:]:
        speeds: dict[str, list[float]] = {name: [] for name in servers}
        seconds: dict[str, list[float]] = {name: [] for name in servers}
        for number in range(rounds + 1):  # the first one starts the threads and does not count
            for name in sorted(servers, reverse=number % 2 == 1):
                speed, taken = load(servers[name], bodies, texts, clients, requests // share)
                if number:
                    speeds[name].append(speed)
                    seconds[name] += taken
        for name in servers:
            p50, p99 = np.percentile(seconds[name], [50, 99])
            each = ", ".join(f"{speed:.2f}" for speed in speeds[name])
            print(f"{clients} clients, {name}: {each} requests/s; p50 {p50:.2f} s, p99 {p99:.2f} s")
        ours, peer = (float(np.median(speeds[name])) for name in ("pinned", "free"))
        report.add(f"{clients} clients, pinned", ours, peer, "free", "requests/s", higher_is_better=True)
    for server in servers.values():
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(600)
    return report


def main() -> None:
    options = arguments(__doc__, model="english", audio="", pinned=0)
    files = make_files(options.audio)
    recognizer = asr.load(options.model)
    recognizer.transcribe(files[0])
    begin = time.perf_counter()
    texts: dict[int, str] = {index: found.text for index, found in recognizer.transcribe_all(files)}
    batch = len(files) / (time.perf_counter() - begin)
    bodies, expected = [body_of(file) for file in files], [texts[index] for index in range(len(files))]
    share = 4 if options.quick else 1
    if options.pinned:
        del recognizer
        compare_pinned(options.model, bodies, expected, options.pinned, share).write(options.json)
        return
    some = files[::share]
    begin = time.perf_counter()
    for file in some:
        recognizer.transcribe(file)
    one_by_one = len(some) / (time.perf_counter() - begin)
    del recognizer

    report = Report()
    server = Server(options.model)
    print(f"one big batch {batch:.2f} files/s, one after another {one_by_one:.2f} files/s")
    print(f"memory of the server before the first request: {server.memory():.0f} MB")
    for clients, requests in CLIENTS.items():
        speed, seconds = load(server, bodies, expected, clients, requests // share)
        p50, p99 = np.percentile(seconds, [50, 99])
        case = f"{clients} clients"
        report.add(case, speed, batch, "one big batch", "requests/s", higher_is_better=True)
        report.add(case, speed, one_by_one, "one after another", "requests/s", higher_is_better=True)
        print(f"{case}: p50 {p50:.2f} s, p99 {p99:.2f} s, memory {server.memory():.0f} MB", flush=True)
    missed = "" if speed / batch >= TARGET else ": missed"
    print(f"share of one big batch at {clients} clients: {speed / batch:.2f}, target {TARGET}{missed}")
    outcomes = stop(server, bodies, expected, FILES)
    print("stopped in between: " + ", ".join(f"{name} {outcomes[name]}" for name in
          ("answered", "refused", "lost", "wrong", "exit status")))  # fmt: skip
    report.write(options.json)


if __name__ == "__main__":
    main()
