"""Live recognition over a WebSocket."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import soxr
from starlette.websockets import WebSocketDisconnect

from asr.inference.live import Committed, Live

RATE = 8000
LISTEN = "ws://localhost:8000/v1/listen"


def pcm(waveform: np.ndarray) -> bytes:
    return (np.clip(waveform, -1, 1) * 32767).round().astype("<i2").tobytes()


def hear(socket: Any) -> list[dict[str, Any]]:
    """Return all messages up to the last one."""
    messages: list[dict[str, Any]] = []
    while not messages or messages[-1]["type"] not in ("done", "error"):
        messages.append(json.loads(socket.receive_text()))
    return messages


def listen(client: Any, audio: bytes, piece: int = 4000, start: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    with client.websocket_connect(LISTEN) as socket:
        if start is not None:
            socket.send_json({"type": "start", **start})
        for begin in range(0, len(audio), piece):
            socket.send_bytes(audio[begin : begin + piece])
        socket.send_json({"type": "end"})
        return hear(socket)


def committed(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [word for message in messages if message["type"] == "final" for word in message["words"]]


def test_words_are_those_of_live(client: Any, model: Any, waveforms: list[np.ndarray]) -> None:
    audio = pcm(waveforms[1])
    messages = listen(client, audio, piece=len(audio))
    assert messages[0] == {"type": "ready", "sample_rate": RATE}
    assert messages[-1] == {"type": "done", "duration": pytest.approx(len(waveforms[1]) / RATE, abs=1e-3)}
    live = Live(model.recognizer)
    samples = np.frombuffer(audio, "<i2").astype(np.float32) / 32768
    events = [*live.feed(samples), *live.finish()]
    expected = [word for event in events if isinstance(event, Committed) for word in event.words]
    words = committed(messages)
    assert [word["word"] for word in words] == [word.text for word in expected] and len(words) > 5
    assert [word["start"] for word in words] == pytest.approx([word.start for word in expected])
    assert all(0 <= word["confidence"] <= 1 for word in words)
    assert any(message["type"] == "partial" for message in messages)


def test_pieces_of_any_size(client: Any, waveforms: list[np.ndarray]) -> None:
    messages = listen(client, pcm(waveforms[2]), piece=333)  # half samples
    assert messages[-1]["type"] == "done"
    assert messages[-1]["duration"] == pytest.approx(len(waveforms[2]) / RATE, abs=1e-3)
    assert committed(messages)


def test_other_sample_rates(client: Any, waveforms: list[np.ndarray]) -> None:
    fast = soxr.resample(waveforms[2], RATE, 48000)
    messages = listen(client, pcm(fast), 9000, {"sample_rate": 48000})
    assert messages[0]["sample_rate"] == 48000
    assert messages[-1]["duration"] == pytest.approx(len(waveforms[2]) / RATE, abs=0.01)
    with client.websocket_connect(f"{LISTEN}?sample_rate=48000") as socket:
        socket.send_bytes(pcm(fast))
        socket.send_json({"type": "end"})
        assert [w["word"] for w in committed(hear(socket))] == [w["word"] for w in committed(messages)]


def test_silence(client: Any) -> None:
    assert [message["type"] for message in listen(client, bytes(2 * RATE))] == ["ready", "done"]
    assert [message["type"] for message in listen(client, b"", start={})] == ["ready", "done"]


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        (["no json"], "no JSON object"),
        (["[]"], "no JSON object"),
        (['{"type": "start", "sample_rate": 7}'], "sample_rate"),
        (['{"type": "start", "sample_rate": "high"}'], "sample_rate"),
        (['{"type": "start", "prompt": "a=high"}'], "number"),
        ([r'{"type": "start", "prompt": "\ud800=high"}'], r"\ud800=high: use a number"),  # no character
        (['{"type": "start", "prompt": {"a": 1}}'], "prompt: use a string"),
        (["[" * 100_000], "no JSON object"),
        (['{"type": "start"}', '{"type": "start"}'], "unknown message"),
    ],
)
def test_messages_that_are_refused(client: Any, messages: list[str], text: str) -> None:
    with client.websocket_connect(LISTEN) as socket:
        for message in messages:
            socket.send_text(message)
        error = hear(socket)[-1]
        assert error["type"] == "error" and text in error["error"]["message"]
        with pytest.raises(WebSocketDisconnect) as end:
            socket.receive_text()
        assert len(end.value.reason.encode()) <= 123  # a longer one breaks the protocol


def test_tokens(client_of: Callable[..., Any], waveforms: list[np.ndarray]) -> None:
    client = client_of(token="secret")
    audio = pcm(waveforms[0])
    for start in (None, {}, {"token": "wrong"}):
        assert listen(client, audio, start=start)[-1]["error"]["code"] == "invalid_api_key"
    assert listen(client, audio, start={"token": "secret"})[-1]["type"] == "done"
    client.headers["authorization"] = "Bearer secret"
    assert listen(client, audio)[-1]["type"] == "done"


def test_pages_of_other_hosts_are_refused(client: Any) -> None:
    for headers in ({"origin": "https://evil.example"}, {"host": "evil.example"}):
        with pytest.raises(WebSocketDisconnect), client.websocket_connect(LISTEN, headers=headers):
            pass


def test_limits(client_of: Callable[..., Any]) -> None:
    from asr.serve.limits import Limits

    client = client_of(limits=Limits(listeners=1, minutes=0.05, client_timeout=1.0))
    with client.websocket_connect(LISTEN) as first:
        first.send_bytes(bytes(100))
        assert json.loads(first.receive_text())["type"] == "ready"
        with client.websocket_connect(LISTEN) as second:
            assert hear(second)[-1]["error"]["code"] == "too_many_sessions"
        assert hear(first)[-1]["error"]["code"] == "timeout"  # nothing came
    assert listen(client, bytes(2 * 4 * RATE))[-1]["error"]["code"] == "too_long"
    assert listen(client, bytes(2 * RATE))[-1]["type"] == "done"


def test_a_client_that_leaves(client: Any, waveforms: list[np.ndarray]) -> None:
    for _ in range(3):
        with client.websocket_connect(LISTEN) as socket:
            socket.send_bytes(pcm(waveforms[2]))
    assert listen(client, pcm(waveforms[0]))[-1]["type"] == "done"
