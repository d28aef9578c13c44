"""What runners accept as a recording: paths, files, bytes, arrays, tensors, lists."""

from __future__ import annotations

import array
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from asr import audio
from asr.errors import AudioError, InputError
from asr.features import Precomputed
from asr.inference.inputs import Recording, read_blocks
from asr.inference.recognizer import Recognizer

RATE = 8000


@pytest.fixture
def wave(tones: Callable[..., np.ndarray]) -> np.ndarray:
    return tones("abc fed", 3).astype(np.float32)


class OneWay(io.RawIOBase):
    """A binary stream that cannot seek, as a pipe or a socket."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class OnlyRead:
    """An object with nothing but ``read``, as some responses of web servers."""

    def __init__(self, data: Any) -> None:
        self._data = [data]

    def read(self, size: int = -1) -> Any:
        return self._data.pop() if self._data else b""


def test_every_kind_of_waveform(trained: Recognizer, wave: np.ndarray) -> None:
    expected = trained.transcribe(wave)
    assert expected.text and expected.duration == len(wave) / RATE
    for source in (
        torch.from_numpy(wave),
        torch.from_numpy(wave).double(),
        torch.from_numpy(wave).requires_grad_(),
        wave.tolist(),
        tuple(wave.tolist()),
        wave.astype(np.float64),
        wave.astype(np.longdouble),
        wave[::-1].copy()[::-1],
        wave.astype(">f4"),
        array.array("f", wave.tolist()),
        memoryview(wave),  # type: ignore[arg-type]
        [wave, wave],
        torch.from_numpy(np.stack([wave, wave])),
        np.ma.masked_array(wave),
    ):
        assert trained.transcribe(source).text == expected.text, type(source)
    for coarse in (torch.from_numpy(wave).bfloat16(), torch.from_numpy(wave).half(), wave.astype(np.float16)):
        assert trained.transcribe(coarse).duration == expected.duration


def test_every_kind_of_file(trained: Recognizer, wave: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, wave, RATE)
    data = path.read_bytes()
    expected = trained.transcribe(path)

    class Named(os.PathLike[str]):
        def __fspath__(self) -> str:
            return str(path)

    with open(path, "rb") as file:
        for source in (
            str(path),
            Named(),
            data,
            bytearray(data),
            memoryview(data),
            io.BytesIO(data),
            OneWay(data),
            OnlyRead(data),
            file,
            Recording(path),
            Recording(io.BytesIO(data)),
            Recording(str(path), channel=1, strict=True),
        ):
            assert trained.transcribe(source).text == expected.text, type(source)  # type: ignore[arg-type]
    results = dict(trained.transcribe_all(source for source in (path, data, wave)))  # type: ignore[arg-type]
    assert [results[index].text for index in range(3)] == [expected.text] * 3  # type: ignore[union-attr]


def test_a_long_stream_that_cannot_seek(trained: Recognizer, wave: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asr.inference.windows.MIN_CORE_SECONDS", 0.5)
    monkeypatch.setattr("asr.inference.windows.MAX_CORE_SECONDS", 1.0)
    monkeypatch.setattr("asr.inference.windows.CONTEXT_SECONDS", 0.5)
    buffer = io.BytesIO()
    soundfile.write(buffer, np.tile(wave, 5), RATE, format="WAV")
    expected = trained.transcribe(buffer.getvalue())
    assert trained.transcribe(OneWay(buffer.getvalue())).text == expected.text  # type: ignore[arg-type]
    assert expected.duration == 5 * len(wave) / RATE


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "a recording of type NoneType; accepted are a path, a binary file, bytes, and floats"),
        (7, "a recording of type int"),
        (object(), "a recording of type object"),
        ({"a": 1}, "a recording of type dict"),
        (lambda: None, "a recording of type function"),
        (["a.wav", "b.wav"], r"a list that does not hold numbers.*a list of files: transcribe_all"),
        ([Path("a.wav")], "does not hold numbers"),
        ([[0.1, 0.2], [0.3]], "a list that is no array"),
        ([], "must not be empty"),
        ([1, 2, 3], "must be of floats"),
        (torch.zeros(100, dtype=torch.int16), "must be of floats, audio within ±1, not int16"),
        (torch.zeros(0), "must not be empty"),
        (torch.zeros(3, 3, 3), "must have shape"),
        (np.zeros((100, 2), np.float32), r"not \(100, 2\) \(of soundfile's arrays, give the transpose: array.T\)"),
        (torch.zeros(100, 2), r"array\.T"),
        (np.array([None, 1.0]), "must be of floats"),
        (io.StringIO("words"), "opened as text: open it in binary mode"),
        (OnlyRead("words"), "a stream of text"),
        (b"", r"audio stream: is empty \(0 bytes\)"),
        (b"words", "audio stream: (not audio|libsndfile cannot)"),
        ("", "is a directory|no such file"),
        ("a\0b", "cannot be opened"),
        (Recording(np.zeros(3)), "a Recording holds a path or a binary file"),  # type: ignore[arg-type]
    ],
)
def test_sources_that_are_no_recording(trained: Recognizer, source: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        trained.transcribe(source)
    again: Any = OnlyRead("words") if isinstance(source, OnlyRead) else source
    ((_, error),) = trained.transcribe_all([again])
    assert isinstance(error, InputError)


def test_a_file_that_is_closed(trained: Recognizer, tmp_path: Path) -> None:
    with open(tmp_path / "x", "wb") as file:
        pass
    with pytest.raises(InputError, match="a file that is closed"):
        trained.transcribe(file)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf"), "16000"])
def test_sample_rates_that_are_none(trained: Recognizer, wave: np.ndarray, rate: Any) -> None:
    with pytest.raises(InputError, match=r"sample_rate=.*: use a number of Hz from 1000 to 768000"):
        trained.transcribe(wave, rate)


@pytest.mark.parametrize("sources", ["a.wav", Path("a.wav"), b"x", np.zeros((2, 8)), torch.zeros(2, 8), 3, None])
def test_one_source_in_place_of_several(trained: Recognizer, sources: Any) -> None:
    with pytest.raises(InputError, match="a list of recordings is needed"):
        list(trained.transcribe_all(sources))


def test_channels_of_arrays_that_are_inverted_do_not_cancel(trained: Recognizer, wave: np.ndarray) -> None:
    assert trained.transcribe(np.stack([wave, -wave])).text == trained.transcribe(wave).text


def test_a_channel_of_a_recording(trained: Recognizer, wave: np.ndarray) -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.stack([0 * wave, wave], axis=1), RATE, format="WAV", subtype="FLOAT")
    transcript = trained.transcribe(Recording(buffer, channel=2))
    assert transcript.text == trained.transcribe(wave).text and transcript.channel == 2
    with pytest.raises(AudioError, match="audio stream: has no channel 3"):
        trained.transcribe(Recording(buffer, channel=3))


def test_audio_read_of_bytes_and_of_wrong_types(wave: np.ndarray) -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, RATE, format="WAV", subtype="FLOAT")
    data: Any = buffer.getvalue()
    np.testing.assert_array_equal(audio.read(data, RATE), wave)
    wrong: Any
    for wrong in (None, 3, ["a.wav"], wave, io.StringIO("x")):
        with pytest.raises(InputError, match="a source of type"):
            audio.read(wrong, RATE)


def test_audio_for_a_model_of_features(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "one.wav", np.zeros(800), 8000)
    with pytest.raises(InputError, match=r"one.wav: this model reads Sphinx feature files \(.*\), not audio"):
        list(read_blocks(tmp_path / "one.wav", Precomputed(13)))
    with pytest.raises(InputError, match="not audio; give the path of a feature file"):
        list(read_blocks(io.BytesIO(b"RIFF"), Precomputed(13)))
