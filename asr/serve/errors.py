"""Errors in the form of OpenAI's: ``{"error": {"message", "type", "param", "code"}}``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from asr.utils.escape import escape_surrogates

TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}


class RequestError(HTTPException):  # others are replaced where a body is read
    """A request that is refused.

    Args:
        status: of HTTP.
        message: what would be accepted.
        code: for programs.
        param: the parameter that is wrong.
        headers: further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, escape_surrogates(message), dict(headers or {}))  # JSON can name what UTF-8 cannot
        self.code, self.param = code, param

    @property
    def content(self) -> dict[str, Any]:
        """The body of the answer."""
        kind = TYPES.get(self.status_code, "server_error" if self.status_code >= 500 else "invalid_request_error")
        return {"error": {"message": self.detail, "type": kind, "param": self.param, "code": self.code}}

    @property
    def reason(self) -> str:
        """The message as the reason of a WebSocket's end, which has 123 bytes at most."""
        return self.detail.encode("ascii", "replace")[:100].decode()

    @property
    def response(self) -> JSONResponse:
        """The answer."""
        return JSONResponse(self.content, self.status_code, self.headers)
