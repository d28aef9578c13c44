"""Run a server until it is stopped: what `asr serve` does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Collection, Generator, Mapping
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from asr.serve.address import check_access, is_local, listen_on
from asr.serve.app import Application, make_app
from asr.serve.engine import Engine
from asr.serve.limits import Limits
from asr.serve.model import ServedModel

log = logging.getLogger("asr")

MAX_MESSAGE = 1 << 20  # bytes, of a WebSocket
GRACE = 0.3  # seconds between the last connection and the end of those without a request
SPARE_CONNECTIONS = 64  # beside those of uploads: /health is answered when the queue is full


class PatientProtocol(H11Protocol):
    """uvicorn's HTTP with limits of the time that a client may take to send a request's head or to read an answer."""

    patience = 30.0  # seconds

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin with a connection."""
        super().connection_made(transport)
        self.loop.call_later(self.patience, self._look, None, 0)

    def _look(self, answered: object, unread: int) -> None:
        """End a connection on which nothing has happened since the last look.

        Args:
            answered: the request that was the last one, and answered, at the last look.
            unread: bytes of an answer that waited for the client then.
        """
        if self.transport.is_closing() and not self.transport.get_write_buffer_size():
            return
        if self.transport.get_protocol() is not self:  # a WebSocket now
            return
        waiting = self.transport.get_write_buffer_size()
        is_idle = self.cycle is None or self.cycle.response_complete
        state = (self.cycle, "idle") if is_idle else None
        if (waiting and 0 < unread <= waiting) or (state is not None and state == answered):
            self.transport.abort()
            return
        self.loop.call_later(self.patience, self._look, state, waiting)


class _Server(uvicorn.Server):
    """uvicorn's server, for which SIGTERM and Ctrl-C are a success: all requests are answered.

    Args:
        config: of uvicorn.
        app: the application.
    """

    def __init__(self, config: uvicorn.Config, app: Application) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop, after the requests of connections that are there have come and live sessions have their last words."""
        for server in self.servers:
            server.close()  # no further connections
        await asyncio.gather(self._app.listeners.stop(), asyncio.sleep(GRACE))
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Take signals as requests to stop."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()


def serve(
    model: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str = "",
    hosts: Collection[str] = (),
    origins: Collection[str] = (),
    limits: Limits | None = None,
    batch_seconds: float = 120.0,
    pinned: bool = False,
    device: str = "cpu",
    head: str | None = None,
    decoder: Mapping[str, Any] | None = None,
    plain: bool = False,
    digits: bool = False,
) -> None:
    """Serve a model until SIGINT or SIGTERM; what was accepted is answered before the end.

    Args:
        model: as in `Recognizer.load`.
        host: address to listen on; one that other machines reach needs a ``token``.
        port: number of the port; 0: a free one.
        token: what requests must have as ``Authorization: Bearer TOKEN``; empty: none.
        hosts: names by which a server for this machine alone may be reached all the same: that of a proxy.
        origins: of web pages of other hosts that may use the server (CORS).
        limits: see `Limits`; None: the defaults.
        batch_seconds: of audio in a batch.
        pinned: bind the threads that read and search to a core each, see `Engine`.
        device: as in `Recognizer.load`.
        head: as in `Recognizer.load`.
        decoder: as in `Recognizer.load`.
        plain: as in `Recognizer.load`.
        digits: as in `Recognizer.load`.

    Raises:
        InputError: an address that cannot be used, a missing token, or what `ServedModel` raises.
    """
    check_access(host, token)
    limits = limits or Limits()
    listener = listen_on(host, port)
    with listener:
        served = ServedModel(model, device=device, head=head, decoder=decoder, plain=plain, digits=digits)
        served.warm_up()
        engine = Engine(batch_seconds=batch_seconds, pinned=pinned)
        app = make_app(served, engine, limits=limits, token=token, local=is_local(host), hosts=hosts, origins=origins)
        name = f"[{host}]" if ":" in host else host
        listener.listen()  # before this is said: who connects at once waits, and is not refused
        log.info("%s is served at http://%s:%d/", served.name, name, listener.getsockname()[1])
        make_server(app, limits).run(sockets=[listener])


def make_server(app: Application, limits: Limits) -> uvicorn.Server:
    """Return the server of an application, which a call of its ``run`` starts."""
    protocol = type("Protocol", (PatientProtocol,), {"patience": limits.client_timeout})
    config = uvicorn.Config(
        app, http=protocol, ws="websockets-sansio", ws_max_size=MAX_MESSAGE, lifespan="on", log_level="warning",
        access_log=False, server_header=False, proxy_headers=False,
        limit_concurrency=2 * limits.queue + SPARE_CONNECTIONS,
    )  # fmt: skip
    return _Server(config, app)
