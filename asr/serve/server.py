"""Run a server until it is stopped: what `asr serve` does."""

from __future__ import annotations

import logging
import socket
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import uvicorn

from asr.errors import InputError
from asr.serve.app import make_app
from asr.serve.engine import Engine
from asr.serve.figures import Figures
from asr.serve.guard import is_local
from asr.serve.limits import Limits
from asr.serve.model import ServedModel

log = logging.getLogger("asr")


def listen_on(host: str, port: int) -> socket.socket:
    """Return a socket that listens, before the model is loaded: a port that is taken is an error at once.

    Raises:
        InputError: the address cannot be used.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"--host {host} --port {port}: cannot be used: {reason}") from None
    return listener


def check_access(host: str, token: str) -> None:
    """Raise InputError for a server that other machines reach and that has no token."""
    if not is_local(host) and not token:
        raise InputError(
            f"--host {host}: other machines reach this server, so it needs a token: set ASR_TOKEN, or --token"
        )
    if token and (not token.isascii() or not token.isprintable() or " " in token):
        raise InputError("the token: use printable ASCII characters without spaces")


def serve(
    model: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str = "",
    origins: Collection[str] = (),
    limits: Limits | None = None,
    batch_seconds: float = 240.0,
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
        origins: of web pages of other hosts that may use the server (CORS).
        limits: see `Limits`; None: the defaults.
        batch_seconds: of audio in a batch.
        device: as in `Recognizer.load`.
        head: as in `Recognizer.load`.
        decoder: as in `Recognizer.load`.
        plain: as in `Recognizer.load`.
        digits: as in `Recognizer.load`.

    Raises:
        InputError: an address that cannot be used, a missing token, or what `ServedModel` raises.
    """
    check_access(host, token)
    listener = listen_on(host, port)
    with listener:
        served = ServedModel(model, device=device, head=head, decoder=decoder, plain=plain, digits=digits)
        served.warm_up()
        figures = Figures()
        engine = Engine(batch_seconds=batch_seconds, on_batch=figures.batch)
        app = make_app(
            served, engine, limits=limits, token=token, local=is_local(host), origins=origins, figures=figures
        )
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, proxy_headers=False, lifespan="on",
            ws_max_size=1 << 20,
        )  # fmt: skip
        name = f"[{host}]" if ":" in host else host
        log.info("%s is served at http://%s:%d/", served.name, name, listener.getsockname()[1])
        uvicorn.Server(config).run(sockets=[listener])
