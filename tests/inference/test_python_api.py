"""What Python programs give a recognizer: arrays, tensors and streams of all kinds, right and wrong arguments."""

from __future__ import annotations

import io
import pathlib
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import asr
from asr.errors import InputError
from asr.inference.inputs import Recording
from asr.inference.recognizer import Recognizer


@pytest.fixture(scope="module")
def recognizer(tone_run: Path) -> Recognizer:
    loaded: Recognizer = asr.load(tone_run)
    return loaded


@pytest.fixture(scope="module")
def file(tone_run: Path) -> Path:
    return tone_run / "corpus" / "train0.wav"


@pytest.fixture(scope="module")
def waveform(file: Path) -> np.ndarray:
    return soundfile.read(file, dtype="float32")[0]


class Trickle(io.RawIOBase):
    """A stream that cannot seek and gives less than it is asked for."""

    def __init__(self, content: bytes) -> None:
        self.content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self.content.read(min(len(buffer), 777))
        buffer[: len(piece)] = piece
        return len(piece)


class Broken:
    def read(self, size: int = -1) -> bytes:
        raise OSError(5, "Input/output error")


class NoPath:
    def __fspath__(self) -> int:
        return 3


def spread(content: bytes) -> memoryview:
    """Return a view that has the bytes of a file with gaps between them."""
    return memoryview(bytes(part for byte in content for part in (byte, 0)))[::2]


def after(file: io.BytesIO, position: int) -> io.BytesIO:
    file.seek(position)
    return file


ARRAYS: dict[str, Callable[[np.ndarray], object]] = {
    "long double": lambda x: x.astype(np.longdouble),
    "big endian": lambda x: x.astype(">f4"),
    "every other": lambda x: np.repeat(x, 2)[::2],
    "read-only": lambda x: np.frombuffer(x.tobytes(), np.float32),
    "columns": lambda x: np.asfortranarray(np.stack([x, x])),
    "matrix": np.matrix,
    "view": lambda x: memoryview(x),  # type: ignore[arg-type]
    "parameter": lambda x: torch.nn.Parameter(torch.tensor(x)),
    "result": lambda x: torch.tensor(x, requires_grad=True) * 1,
    "negative view": lambda x: torch._neg_view(torch.tensor(-x)),
    "double": lambda x: torch.tensor(x).double(),
    "list": lambda x: x.tolist(),
}
FILES: dict[str, Callable[[bytes], object]] = {
    "view with gaps": spread,
    "read to its end": lambda content: after(io.BytesIO(content), len(content)),
    "cannot seek": lambda content: Trickle(content),
    "cannot seek, buffered": lambda content: io.BufferedReader(Trickle(content)),
    "recording": lambda content: Recording(io.BytesIO(content), 1, 1),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays(kind: str, recognizer: Recognizer, waveform: np.ndarray, file: Path) -> None:
    assert recognizer.transcribe(ARRAYS[kind](waveform), 8000).text == recognizer.transcribe(file).text  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", FILES)
def test_files(kind: str, recognizer: Recognizer, file: Path) -> None:
    assert recognizer.transcribe(FILES[kind](file.read_bytes())).text == recognizer.transcribe(file).text  # type: ignore[arg-type]


def test_half_precision(recognizer: Recognizer, waveform: np.ndarray) -> None:
    for half in (waveform.astype(np.float16), torch.tensor(waveform).half(), torch.tensor(waveform).bfloat16()):
        assert recognizer.transcribe(half, 8000).duration == pytest.approx(len(waveform) / 8000)


@pytest.mark.parametrize("rate", [np.int32(8000), np.float64(8000), np.array(8000), Fraction(8000), 7999.5])
def test_sample_rates(rate: Any, recognizer: Recognizer, waveform: np.ndarray) -> None:
    assert recognizer.transcribe(waveform, rate).duration == pytest.approx(len(waveform) / float(rate), abs=1e-3)


@pytest.mark.parametrize("rate", ["8000", 0, -8000, float("nan"), float("inf"), True, 1, 10**40, [8000, 1], 1e-300])
def test_wrong_sample_rates(rate: Any, recognizer: Recognizer, waveform: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"sample_rate=.*: use a number of Hz from 1000 to 768000"):
        recognizer.transcribe(waveform, rate)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (lambda x: x * 32768, "must be within ±1, not .* \\(divide samples of 16 bits by 32768"),
        (lambda x: x.astype(np.float64) * 1e300, "must be within ±1"),
        (lambda x: x.astype(np.complex64), "must be of floats"),
        (lambda x: x.astype(object), "must be of floats"),
        (lambda x: np.rec.fromarrays([x]), "must be of floats"),
        (lambda x: x[None, None], "must have shape"),
        (lambda x: x[0], "must have shape"),
        (lambda x: x[:0], "must not be empty"),
        (lambda x: np.append(x, np.nan), "must hold finite numbers"),
        (lambda x: torch.tensor(x).to_sparse(), "a tensor that cannot be read"),
        (lambda x: torch.tensor(x).to("meta"), "a tensor that cannot be read"),
        (lambda x: [Decimal("0.1")] * 9000, "does not hold numbers"),
        (lambda x: (x, 8000), "that is no array"),
        (lambda x: (value for value in x), "a recording of type generator"),
        (lambda x: {"array": x}, "a recording of type dict"),
        (lambda x: NoPath(), "a path that is none"),
        (lambda x: Broken(), "cannot be read: .*Input/output error"),
        (lambda x: Recording("x.wav", track="a"), "track is 'a'"),  # type: ignore[arg-type]
        (lambda x: "\udcff.wav", "no such file"),
        (lambda x: "a\0b", "cannot be opened"),
    ],
)
def test_wrong_sources(source: Any, message: str, recognizer: Recognizer, waveform: np.ndarray) -> None:
    with pytest.raises(InputError, match=message):
        recognizer.transcribe(source(waveform), 8000)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_seconds": None}, "batch_seconds=None: use a number of seconds above 0"),
        ({"batch_seconds": 0}, "batch_seconds=0: use"),
        ({"batch_seconds": float("nan")}, "batch_seconds=nan: use"),
        ({"device": "meta"}, "device 'meta' cannot be used"),
        ({"device": "x"}, "device 'x' cannot be used"),
        ({"head": 3}, "has no head 3"),
        ({"decoder": 3}, "decoder=3: expected a mapping"),
        ({"decoder": "beam"}, "decoder='beam': expected a mapping"),
        ({"decoder": {1: 2}}, "has no option 1"),
        ({"decoder": {"beam": 10**12}}, "beam=1000000000000: use at most"),
        ({"decoder": {"word_bonus": float("inf")}}, "decoder.word_bonus=inf: use a finite number"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str, tone_run: Path) -> None:
    with pytest.raises(InputError, match=message):
        asr.load(tone_run, **options)


@pytest.mark.parametrize("model", [None, 3, b"runs", [], pathlib.PurePath("nope")])
def test_wrong_models(model: Any) -> None:
    with pytest.raises(InputError, match=r"a model of type .*; the path|no such model directory"):
        asr.load(model)


@pytest.mark.parametrize("text", [None, 3, ["ab"], b"ab"])
def test_texts_that_are_none(text: Any, recognizer: Recognizer, file: Path) -> None:
    with pytest.raises(InputError, match=r"a text of type .*; a string is needed"):
        recognizer.align(file, text)
    with pytest.raises(InputError, match="head='x' is not one of text"):
        recognizer.align(file, "ab", head="x")
