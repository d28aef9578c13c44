"""A tiny model and its application, for the tests of the server."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

LEGACY = Path(__file__).parents[1] / "data" / "legacy"
RATE = 8000


@pytest.fixture(scope="session", autouse=True)
def needed() -> None:
    """Skip the tests where the server's packages are missing."""
    for name in ("fastapi", "uvicorn", "multipart", "prometheus_client", "httpx"):
        pytest.importorskip(name, reason='needs the server: pip install "asr-recurrent[serve]"')


@pytest.fixture(scope="session")
def model_directory() -> Path:
    return LEGACY / "ctc_text"


@pytest.fixture(scope="session")
def model(model_directory: Path) -> Any:
    from asr.serve.model import ServedModel

    return ServedModel(model_directory)


@pytest.fixture(scope="session")
def waveforms() -> list[np.ndarray]:
    """Speech of 0.5 to 12 s: recordings of the corpus one after another."""
    parts = [soundfile.read(LEGACY / "inputs" / f"test{i}.wav", dtype="float32")[0] for i in range(3)]
    rng = np.random.default_rng(0)
    return [np.concatenate([parts[n] for n in rng.integers(0, 3, count)]) for count in (1, 9, 2, 1, 5, 3, 12, 1, 7, 2)]


@pytest.fixture(scope="session")
def wav() -> Callable[[np.ndarray], bytes]:
    """``wav(waveform)``: the bytes of a file of 16-bit samples."""

    def encode(waveform: np.ndarray) -> bytes:
        file = io.BytesIO()
        soundfile.write(file, waveform, RATE, format="WAV", subtype="PCM_16")
        return file.getvalue()

    return encode


@pytest.fixture(scope="session")
def recording(waveforms: list[np.ndarray], wav: Callable[[np.ndarray], bytes]) -> bytes:
    """A file with speech of 3 s."""
    return wav(waveforms[2])


@pytest.fixture
def client_of(model: Any) -> Iterator[Callable[..., Any]]:
    """``client_of(limits=…, token=…)``: a client of an application, without a network between them."""
    from contextlib import ExitStack

    from starlette.testclient import TestClient

    from asr.serve.app import make_app
    from asr.serve.engine import Engine

    with ExitStack() as stack:

        def make(engine: Any = None, host: str = "localhost:8000", **options: Any) -> Any:
            app = make_app(model, engine or Engine(), **options)
            return stack.enter_context(TestClient(app, f"http://{host}", raise_server_exceptions=False))

        yield make


@pytest.fixture
def client(client_of: Callable[..., Any]) -> Any:
    return client_of()
