"""``asr serve``: a server with OpenAI's interface for transcriptions, and a page."""

from __future__ import annotations

import importlib.util
import signal
import sys
from typing import Annotated

import typer

from asr.cli._decoder_options import (
    Beam,
    Decoder,
    Digits,
    Head,
    HotWords,
    LanguageModel,
    Lexicon,
    Plain,
    decoder_config,
)
from asr.cli._model_options import BatchSeconds, Device, Model
from asr.errors import InputError
from asr.models import pretrained

NEEDED = ("fastapi", "uvicorn", "multipart", "prometheus_client")


def serve(
    model: Model = pretrained.DEFAULT,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0: other machines reach it, which needs a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: a free one.")] = 8000,
    token: Annotated[
        str,
        typer.Option(
            envvar="ASR_TOKEN", help="What clients must send as Authorization: Bearer TOKEN.", show_default=""
        ),
    ] = "",
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Name of a proxy in front, which the Host of requests may have."),
    ] = None,
    cors_origin: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="Web pages of this origin may use the server (several times for several)."),
    ] = None,
    max_megabytes: Annotated[float, typer.Option(help="Largest upload.")] = 256.0,
    max_minutes: Annotated[float, typer.Option(help="Longest recording.")] = 240.0,
    max_requests: Annotated[int, typer.Option(min=1, help="Requests at a time; further ones get status 429.")] = 256,
    max_listeners: Annotated[int, typer.Option(min=1, help="Live sessions (WebSockets) at a time.")] = 8,
    timeout: Annotated[float, typer.Option(help="Seconds from the end of an upload to its answer.")] = 3600.0,
    client_timeout: Annotated[float, typer.Option(help="Seconds for which a client may send or read nothing.")] = 30.0,
    batch_seconds: BatchSeconds = 120.0,
    pin_threads: Annotated[
        bool, typer.Option("--pin-threads", help="Bind each thread that reads or searches recordings to a core.")
    ] = False,
    device: Device = "cpu",
    plain: Plain = False,
    digits: Digits = False,
    head: Head = None,
    beam: Beam = None,
    lm: LanguageModel = None,
    lexicon: Lexicon = None,
    hotwords: HotWords = "",
    decoder: Decoder = None,
) -> None:
    """Serve a recognizer over HTTP, with OpenAI's interface and a page for the browser.

    Requests of all clients are read by one network in batches. SIGTERM or Ctrl-C stops the server after what was
    accepted is answered. docs/server.md describes the interface.
    """
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise InputError(f'asr serve needs {", ".join(missing)}: pip install "asr-recurrent[serve]"')
    options = decoder_config(beam, lm, lexicon, hotwords, decoder)
    from asr.models.directory import find
    from asr.serve.address import check_access, check_names
    from asr.serve.limits import Limits

    check_access(host, token)
    check_names(allow_host or (), cors_origin or ())
    find(model)

    limits = Limits(
        megabytes=max_megabytes,
        total_megabytes=8 * max_megabytes,
        minutes=max_minutes,
        queue=max_requests,
        timeout=timeout,
        client_timeout=client_timeout,
        listeners=max_listeners,
    )
    # Until the server takes signals itself: process 1 of a container is not ended by one that it does not handle.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    from asr.serve.server import serve as run  # imports torch, which takes a second

    run(
        model,
        host=host,
        port=port,
        token=token,
        hosts=allow_host or (),
        origins=cors_origin or (),
        limits=limits,
        batch_seconds=batch_seconds,
        pinned=pin_threads,
        device=device,
        head=head,
        decoder=options,
        plain=plain,
        digits=digits,
    )
