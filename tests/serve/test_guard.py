"""Who may use a server, and how much: hosts, origins, tokens, sizes, the queue."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from serving import TRANSCRIPTIONS, error_of, post, wait_until

from asr.errors import InputError


def limits(**values: Any) -> Any:
    from asr.serve.limits import Limits

    return Limits(**values)


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:9", "[::1]:8000", "127.0.0.1"])
def test_names_of_this_machine(client: Any, host: str) -> None:
    assert client.get("/health", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example:8000", "192.168.0.3", "", "[", "0.0.0.0"])
def test_other_names_are_refused_where_the_server_is_local(client: Any, host: str) -> None:
    assert error_of(client.get("/health", headers={"host": host}), 403)["code"] == "host_not_allowed"


def test_a_server_for_others_has_any_name(client_of: Callable[..., Any]) -> None:
    assert client_of(local=False, token="secret").get("/health", headers={"host": "asr.example"}).status_code == 200
    behind_proxy = client_of(hosts=["ASR.example"])
    assert behind_proxy.get("/health", headers={"host": "asr.example"}).status_code == 200
    assert behind_proxy.get("/health", headers={"host": "other.example"}).status_code == 403


def test_pages_of_other_hosts_are_refused(client_of: Callable[..., Any], recording: bytes) -> None:
    client = client_of()
    for origin in ("https://evil.example", "http://localhost:9000", "null", "http://["):
        assert error_of(post(client, recording, headers={"origin": origin}), 403)["code"] == "origin_not_allowed"
    own = post(client, recording, headers={"origin": "http://localhost:8000"})
    assert own.status_code == 200 and "access-control-allow-origin" not in own.headers
    allowing = client_of(origins=["https://good.example"])
    answer = post(allowing, recording, headers={"origin": "https://good.example"})
    assert answer.headers["access-control-allow-origin"] == "https://good.example"
    assert post(allowing, recording, headers={"origin": "https://evil.example"}).status_code == 403
    preflight = {"origin": "https://good.example", "access-control-request-method": "POST"}
    assert allowing.options(TRANSCRIPTIONS, headers=preflight).status_code == 200


def test_tokens(client_of: Callable[..., Any], recording: bytes) -> None:
    client = client_of(token="secret")
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic secret"}, {"authorization": "ü"}):
        encoded = {name: value.encode() for name, value in headers.items()}
        for answer in (post(client, recording, headers=encoded), client.get("/metrics", headers=encoded)):
            assert error_of(answer, 401)["code"] == "invalid_api_key"
            assert answer.headers["www-authenticate"] == "Bearer"
    right = {"authorization": "Bearer secret"}
    assert post(client, recording, headers=right).status_code == 200
    assert client.get("/metrics", headers=right).status_code == 200
    for path in ("/health", "/"):  # say nothing
        assert client.get(path).status_code == 200


def test_a_server_that_others_reach_needs_a_token() -> None:
    from asr.serve.address import check_access

    for host in ("0.0.0.0", "::", "192.168.0.3", "asr.example", ""):
        with pytest.raises(InputError, match="ASR_TOKEN"):
            check_access(host, "")
        check_access(host, "secret")
    for host in ("127.0.0.1", "127.8.0.1", "::1", "localhost"):
        check_access(host, "")
    with pytest.raises(InputError, match="printable"):
        check_access("127.0.0.1", "two words")


@pytest.mark.parametrize(
    ("hosts", "origins", "message"),
    [
        (["https://asr.example"], [], "use a name alone"),
        (["asr.example:443"], [], "use a name alone"),
        (["*"], [], "use a name alone"),
        ([], ["https://app.example/"], "use https://app.example$"),
        ([], ["https://App.example:443/page"], "use https://app.example$"),
        ([], ["http://[::1]:8080/"], r"use http://\[::1\]:8080$"),
        ([], ["app.example"], "use a scheme and a host"),
        ([], ["*"], "use a scheme and a host"),
        ([], ["http://app.example:x"], "use a scheme and a host"),
    ],
)
def test_names_that_no_browser_sends(hosts: list[str], origins: list[str], message: str) -> None:
    from asr.serve.address import check_names

    with pytest.raises(InputError, match=message):
        check_names(hosts, origins)


def test_names_that_browsers_send() -> None:
    from asr.serve.address import check_names

    check_names(["asr.example", "10.0.0.1"], ["https://app.example", "http://localhost:3000", "http://[::1]"])


def test_sizes(client_of: Callable[..., Any], recording: bytes) -> None:
    client = client_of(limits=limits(megabytes=0.1))
    assert post(client, recording).status_code == 200
    assert error_of(post(client, recording * 10), 413)["code"] == "too_large"

    def pieces() -> Any:
        for _ in range(200):
            yield bytes(1000)

    unknown = client.post(TRANSCRIPTIONS, content=pieces(), headers={"content-type": "multipart/form-data; boundary=x"})
    assert error_of(unknown, 413)["code"] == "too_large"
    assert error_of(client.post("/health", content=bytes(2_000_000)), 405)
    assert "asr_active_uploads 0.0" in client.get("/metrics").text


def test_lengths(client_of: Callable[..., Any], wav: Callable[..., bytes]) -> None:
    client = client_of(limits=limits(minutes=0.1))
    assert post(client, wav(np.zeros(6 * 8000, np.float32))).status_code == 200
    error = error_of(post(client, wav(np.zeros(7 * 8000, np.float32))), 400)
    assert "longer than 6 s" in error["message"]


def test_a_full_queue(client_of: Callable[..., Any], recording: bytes) -> None:
    from asr.serve.engine import Engine

    engine, gate = Engine(), threading.Event()
    client = client_of(engine, limits=limits(queue=2))
    engine.call(lambda: gate.wait(60))
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(post, client, recording) for _ in range(2)]
        wait_until(lambda: engine.backlog == 2)
        refused = post(client, recording)
        assert error_of(refused, 429)["code"] == "queue_full"
        assert 1 <= int(refused.headers["retry-after"]) <= 600
        assert client.get("/health").status_code == 200
        gate.set()
        assert [future.result().status_code for future in waiting] == [200, 200]
    assert post(client, recording).status_code == 200


def test_all_uploads_together_are_bounded(client_of: Callable[..., Any], recording: bytes) -> None:
    from asr.serve.engine import Engine

    engine, gate = Engine(), threading.Event()
    client = client_of(engine, limits=limits(total_megabytes=0.02))
    engine.call(lambda: gate.wait(60))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(post, client, recording)
        wait_until(lambda: engine.backlog == 1)
        assert error_of(post(client, recording), 429)
        gate.set()
        assert waiting.result().status_code == 200
    assert post(client, recording).status_code == 200


def test_what_takes_too_long(client_of: Callable[..., Any], recording: bytes) -> None:
    from asr.serve.engine import Engine

    engine, gate = Engine(), threading.Event()
    client = client_of(engine, limits=limits(timeout=0.05))
    engine.call(lambda: gate.wait(60))
    assert error_of(post(client, recording), 503)["code"] == "timeout"
    gate.set()
    assert engine.backlog == 0


def test_faults_of_the_server_are_not_told(
    client: Any, recording: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from asr.inference.recognizer import Recognizer

    monkeypatch.setattr(Recognizer, "log_probs", lambda self, batch: 1 / 0)
    error = error_of(post(client, recording), 500)
    assert error["type"] == "server_error" and "zero" not in error["message"]
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_limits_that_make_no_sense(value: float) -> None:
    with pytest.raises(InputError, match="above 0"):
        limits(minutes=value)
