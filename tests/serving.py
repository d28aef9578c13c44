"""Requests to a server, which several test files send."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

TRANSCRIPTIONS = "/v1/audio/transcriptions"


def post(client: Any, recording: bytes, address: str = TRANSCRIPTIONS, **fields: Any) -> Any:
    """Send a recording with some fields, and perhaps ``headers``."""
    headers = fields.pop("headers", {})
    return client.post(address, files={"file": ("speech.wav", recording)}, data=fields, headers=headers)


def error_of(response: Any, status: int) -> dict[str, Any]:
    """Return the error of an answer, which must have OpenAI's form."""
    assert response.status_code == status, response.text
    (error,) = response.json().values()
    assert set(error) == {"message", "type", "param", "code"} and error["message"]
    return dict(error)


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for a condition, not for ever."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
