"""Requests to a server, which several test files send."""

from __future__ import annotations

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
