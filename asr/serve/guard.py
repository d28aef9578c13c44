"""What is checked of a request before its body is read, and limits while it is: an ASGI middleware."""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import Callable, Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from asr.serve.address import is_local
from asr.serve.documents import MAX_BYTES
from asr.serve.errors import RequestError
from asr.serve.limits import MEGABYTE, Limits

MIN_RATE = 1000.0  # bytes a second that a client must send on average
# Of the page: nothing from another host, no inline code; blobs are the recordings that it plays.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "font-src 'self'; connect-src 'self'; worker-src 'self' blob:; manifest-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-cache",
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
}
UPLOADS = ("/v1/audio/transcriptions", "/v1/align")
WITH_TOKEN = ("/v1/", "/metrics", "/openapi.json")


def host_name(host: str) -> str:
    """Return the name of a ``Host`` header, without port and brackets; empty where it has none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


class Guard:
    """Refuses requests that are not allowed or too much, and adds headers to all answers.

    Args:
        app: the application.
        limits: see `Limits`.
        token: which requests below ``/v1/`` must have; empty: none.
        local: the server is for this machine alone: another name in ``Host`` is that of a web page that was made to
            point here (DNS rebinding).
        hosts: other names by which it may be reached all the same, such as that of a proxy.
        origins: of web pages of other hosts that may send requests.
        retry_after: seconds after which a request that was refused for a full queue may be sent again.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        limits: Limits,
        token: str = "",
        local: bool = True,
        hosts: Collection[str] = (),
        origins: Collection[str] = (),
        retry_after: Callable[[], float] = lambda: 1.0,
    ) -> None:
        self.app = app
        self.limits = limits
        self.token = token
        self.local = local
        self.hosts = frozenset(host.lower() for host in hosts)
        self.origins = frozenset(origins)
        self.retry_after = retry_after
        self.requests = 0  # uploads that are not answered yet
        self.uploaded = 0  # bytes of them

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        is_socket = scope["type"] == "websocket"
        send = send if is_socket else _secured(send)
        try:
            self._check(scope, headers)
            if is_socket:
                await self.app(scope, receive, send)
            elif scope["method"] == "POST" and scope["path"] in UPLOADS:
                await self._upload(scope, headers, receive, send)
            else:
                most = MAX_BYTES if scope["path"].startswith("/v1/format/") else MEGABYTE
                await self.app(scope, _Body(receive, most, self.limits).receive, send)
        except RequestError as error:  # the server reads and forgets what is left of the body
            if is_socket:
                await send({"type": "websocket.close", "code": 1008, "reason": error.reason})
            else:
                await error.response(scope, receive, send)

    def _check(self, scope: Scope, headers: Headers) -> None:
        """Raise RequestError for a request that is not allowed."""
        host = headers.get("host", "")
        name = host_name(host)
        if self.local and not is_local(name) and name not in self.hosts:
            raise RequestError(
                403, f"Host {host!r}: this server is for this machine alone; use localhost", "host_not_allowed"
            )
        origin = headers.get("origin")
        own = (f"http://{host}".lower(), f"https://{host}".lower())
        if origin is not None and origin not in self.origins and origin.lower() not in own:
            raise RequestError(
                403, f"Origin {origin!r}: pages of other hosts may not use this server", "origin_not_allowed"
            )
        # the browser's question before a request (OPTIONS) has no token; a WebSocket gives it in its first message
        is_open = scope["type"] == "websocket" or scope["method"] == "OPTIONS"
        if self.token and not is_open and scope["path"].startswith(WITH_TOKEN):
            check_token(headers, self.token)

    async def _upload(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        """Handle a request with a recording."""
        most = self.limits.megabytes * MEGABYTE
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > most:
            raise too_large(most)
        if self.requests >= self.limits.queue or self.uploaded > self.limits.total_megabytes * MEGABYTE:
            seconds = min(600, max(1, math.ceil(self.retry_after())))
            raise RequestError(
                429, f"too many requests at a time; try again in {seconds} s", "queue_full", None,
                {"Retry-After": str(seconds)},
            )  # fmt: skip
        body = _Body(receive, most, self.limits, self._count)
        self.requests += 1
        try:
            await self.app(scope, body.receive, send)
        finally:
            self.requests -= 1
            self.uploaded -= body.size

    def _count(self, size: int) -> None:
        self.uploaded += size


class _Body:
    """The body of a request, within limits of size and time."""

    def __init__(
        self, receive: Receive, most: float, limits: Limits, count: Callable[[int], None] = lambda size: None
    ) -> None:
        self.size = 0
        self._receive = receive
        self._most = most
        self._limits = limits
        self._count = count
        self._is_complete = False
        self._started = time.monotonic()

    async def receive(self) -> Message:
        """Return the next message.

        Raises:
            RequestError: the body is too large, or the client too slow.
        """
        if self._is_complete:
            return await self._receive()  # waits until the client is gone
        patience = self._limits.client_timeout
        left = patience + self.size / MIN_RATE - (time.monotonic() - self._started)
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, min(patience, left)))
        except asyncio.TimeoutError:
            raise RequestError(408, "the request comes too slowly", "timeout", None, {"Connection": "close"}) from None
        if message["type"] == "http.request":
            size = len(message.get("body", b""))
            self.size += size
            self._count(size)
            if self.size > self._most:
                raise too_large(self._most)
            self._is_complete = not message.get("more_body", False)
        return message


def check_token(headers: Headers, token: str) -> None:
    """Raise RequestError unless a request has the token as ``Authorization: Bearer TOKEN``."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not is_token(given.strip(), token):
        raise RequestError(
            401, "this server needs its token as Authorization: Bearer TOKEN (api_key of OpenAI's client)",
            "invalid_api_key", None, {"WWW-Authenticate": "Bearer"},
        )  # fmt: skip


def is_token(given: str, token: str) -> bool:
    """Return whether a token is the right one, in a time that tells nothing about it."""
    return secrets.compare_digest(given.encode(), token.encode())


def too_large(most: float) -> RequestError:
    """Return the error of a body of more than ``most`` bytes."""
    return RequestError(
        413, f"the request is larger than {most / MEGABYTE:g} MB, the limit of this server", "too_large", "file"
    )


def _secured(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return send_with_headers
