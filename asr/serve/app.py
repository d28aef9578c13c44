"""The application: OpenAI's addresses for transcriptions, alignment, health and figures, and the page."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import tempfile
import time
from collections.abc import AsyncIterator, Collection, Iterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, File, Form, Request, UploadFile, WebSocket
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from asr._version import __version__
from asr.errors import InputError
from asr.models import pretrained
from asr.output.formats import FORMATS, render
from asr.serve.documents import TranscriptDocument
from asr.serve.engine import Engine, InternalError
from asr.serve.errors import RequestError
from asr.serve.figures import Figures
from asr.serve.guard import Guard
from asr.serve.limits import Limits
from asr.serve.listen import Listeners
from asr.serve.model import ServedModel
from asr.serve.responses import GRANULARITIES, MEDIA_TYPES, RESPONSE_FORMATS, answer, usage, verbose
from asr.serve.streaming import events
from asr.serve.uploads import Uploads
from asr.utils.options import check_choice

log = logging.getLogger(__name__)
PAGE = Path(__file__).parent / "page"

# Module level: FastAPI resolves the annotations of an endpoint there.
Upload = Annotated[UploadFile, File(description="The recording, of any format that asr transcribe reads.")]
Text = Annotated[str, Form()]
Flag = Annotated[bool, Form()]
Names = Annotated[list[str] | None, Form(alias="timestamp_granularities[]")]
PlainNames = Annotated[list[str] | None, Form(alias="timestamp_granularities")]  # as people write it


class Application:
    """The application as a server calls it.

    Args:
        app: the application with what is around it.
        listeners: its live sessions, which a server ends before it closes their connections.
    """

    def __init__(self, app: ASGIApp, listeners: Listeners) -> None:
        self.app = app
        self.listeners = listeners

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        await self.app(scope, receive, send)


def make_app(
    model: ServedModel,
    engine: Engine,
    *,
    limits: Limits | None = None,
    token: str = "",
    local: bool = True,
    hosts: Collection[str] = (),
    origins: Collection[str] = (),
) -> Application:
    """Build the application.

    Args:
        model: what transcribes.
        engine: the queue; it is closed with the application.
        limits: None: the defaults.
        token: see `Guard`.
        local: see `Guard`.
        hosts: see `Guard`.
        origins: see `Guard`; these also get the headers of CORS.
    """
    limits, figures = limits or Limits(), Figures()
    engine.on_batch = figures.batch

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(engine.close)

    app = FastAPI(title="asr", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    guard = Guard(
        app, limits=limits, token=token, local=local, hosts=hosts, origins=origins,
        retry_after=lambda: figures.mean_seconds * engine.backlog / max(engine.speed, 0.1),
    )  # fmt: skip
    figures.watch(lambda: guard.requests, lambda: engine.backlog)

    listeners = Listeners(model, engine, limits, token)
    add_recognition(app, model, Uploads(engine, limits, figures.transcribed))
    add_status(app, model, figures)

    @app.websocket("/v1/listen")
    async def listen(socket: WebSocket) -> None:
        await listeners.serve(socket)

    handle_errors(app)
    if PAGE.is_dir():
        app.mount("/", StaticFiles(directory=PAGE, html=True))
    outer: ASGIApp = figures.count(guard)
    if origins:
        outer = CORSMiddleware(outer, allow_origins=list(origins), allow_methods=["GET", "POST"], allow_headers=["*"])
    return Application(outer, listeners)


def add_recognition(app: FastAPI, model: ServedModel, uploads: Uploads) -> None:
    """Add the addresses that transcribe, align and format."""

    @app.post("/v1/audio/transcriptions")
    async def transcriptions(
        request: Request,
        file: Upload,
        model_name: Annotated[str, Form(alias="model")] = "",
        response_format: Text = "json",
        granularities: Names = None,
        more_granularities: PlainNames = None,
        prompt: Text = "",
        language: Text = "",
        stream: Flag = False,
    ) -> Response:
        """Transcribe a recording."""
        check_model(model, model_name)
        check("response_format", response_format, RESPONSE_FORMATS)
        granularities = [*(granularities or ()), *(more_granularities or ())]
        for name in granularities:
            check("timestamp_granularities[]", name, GRANULARITIES)
        with bad_request("prompt"):
            recognizer = await asyncio.to_thread(model.with_hotwords, prompt) if prompt else model.recognizer
        if stream:
            parts = await uploads.parts(request, recognizer, file)
            return StreamingResponse(events(parts, recognizer.writer), media_type="text/event-stream")
        transcript = await uploads.transcript(request, recognizer, file)
        return answer(transcript, response_format, granularities, language or language_of(model))

    @app.post("/v1/align")
    async def align(
        request: Request, file: Upload, text: Text, response_format: Text = "json",
        model_name: Annotated[str, Form(alias="model")] = "",
    ) -> Response:  # fmt: skip
        """Find the times of the words of a text."""
        check_model(model, model_name)
        check("response_format", response_format, RESPONSE_FORMATS)
        with bad_request("text"):
            recognizer = await asyncio.to_thread(model.aligner, text)
        transcript = await uploads.transcript(request, recognizer, file)
        if response_format in ("json", "verbose_json"):
            content = verbose(transcript, ("segment", "word"), language_of(model)) | {"task": "align"}
            content |= {"fits": transcript.fits, "warnings": list(transcript.warnings), "usage": usage(transcript)}
            return JSONResponse(content)
        return answer(transcript, response_format)

    @app.post("/v1/format/{format}")
    async def formatted(format: str, document: TranscriptDocument) -> Response:
        """Write a transcript, such as one that was edited, in a file format of ``asr transcribe``."""
        check("format", format, FORMATS)
        with bad_request("words"):
            transcript = document.transcript()
        content = await asyncio.to_thread(render, transcript, format)
        return PlainTextResponse(content, media_type=MEDIA_TYPES.get(format, "text/plain"))


def add_status(app: FastAPI, model: ServedModel, figures: Figures) -> None:
    """Add the addresses that describe the model and the server."""
    created = int(time.time())

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        """List the model."""
        return {"object": "list", "data": [model_object(model, created)]}

    @app.get("/v1/models/{name:path}")
    async def one_model(name: str) -> dict[str, Any]:
        """Describe the model."""
        if name != model.name:
            raise unknown_model(model, name)
        return model_object(model, created)

    @app.get("/health")
    async def health() -> dict[str, Any]:
        """Tell that the server is ready."""
        return {"status": "ok", "model": model.name, "version": __version__, "sample_rate": model.sample_rate}

    @app.get("/metrics")
    async def metrics() -> Response:
        """Return figures as Prometheus reads them."""
        content, media_type = figures.render()
        return Response(content, media_type=media_type)


def handle_errors(app: FastAPI) -> None:
    """Give all errors of an application OpenAI's form."""

    @app.exception_handler(RequestError)
    async def refused(_: Request, error: RequestError) -> Response:
        return error.response

    @app.exception_handler(InternalError)
    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> Response:
        return RequestError(500, "the server failed; its log says why", "internal_error").response

    @app.exception_handler(HTTPException)
    async def failed_otherwise(request: Request, error: HTTPException) -> Response:
        cause = error.__cause__  # what FastAPI replaces by an error of the body
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            log.error("an upload is refused: %s is full", tempfile.gettempdir())
            return RequestError(507, "no room for the upload on the server's disk", "disk_full", "file").response
        if error.status_code in (404, 405):  # of the page's files, which answer what no other address has
            return no_such_address(app, request).response
        return RequestError(error.status_code, str(error.detail), None, None, error.headers).response

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        name = str(first["loc"][-1])
        message = "use an upload (multipart/form-data, with a filename)" if name == "file" else first["msg"].lower()
        return RequestError(400, f"{name}: {message}", "invalid_value", name).response


def no_such_address(app: FastAPI, request: Request) -> RequestError:
    """Return the error of a request to an address that is missing, or that is there for another method."""
    path, called = request.url.path, f"{request.method} {request.url.path}"
    routes: list[Any] = [route for route in app.routes if getattr(route, "methods", None)]  # not the page
    methods = {method for route in routes if route.path_regex.match(path) for method in route.methods}
    if not methods:
        return RequestError(404, f"{called}: this server has no such address")
    allowed = ", ".join(sorted(methods))
    return RequestError(405, f"{called}: use {allowed}", headers={"Allow": allowed})


def check_model(model: ServedModel, name: str) -> None:
    """Raise RequestError for the name of another model."""
    if not model.has_name(name):
        raise unknown_model(model, name)


def unknown_model(model: ServedModel, name: str) -> RequestError:
    """Return the error of a name that the model does not have."""
    message = f"there is no model {name!r} here; this server has {model.name!r}"
    return RequestError(404, message, "model_not_found", "model")


def language_of(model: ServedModel) -> str:
    """Return the language of a model of the package, which its name says; empty where it is not known."""
    return model.name if model.name in pretrained.names() else ""


def check(name: str, value: str, accepted: Collection[str]) -> None:
    """Raise RequestError unless a parameter has one of the values that are accepted."""
    with bad_request(name):
        check_choice(name, value, tuple(accepted))


@contextlib.contextmanager
def bad_request(param: str) -> Iterator[None]:
    """Raise RequestError for an InputError."""
    try:
        yield
    except InputError as error:
        raise RequestError(400, str(error), "invalid_value", param) from None


def model_object(model: ServedModel, created: int) -> dict[str, Any]:
    """Return a model as OpenAI describes it."""
    return {"id": model.name, "object": "model", "created": created, "owned_by": "asr"}
