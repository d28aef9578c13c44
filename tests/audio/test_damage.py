"""Audio files that are damaged, empty or not audio."""

from __future__ import annotations

import io
import os
import re
import struct
import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sounds import KINDS, refused, save, speechlike, tone

from asr.audio import info, read
from asr.errors import AudioError


def test_missing_directory_and_forbidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(tmp_path / "none.wav", "no such file")
    refused(tmp_path, "is a directory")
    path = save(tmp_path, "wav16", tone(16_000, 0.1), 16_000)
    if os.access(path, os.R_OK) and os.geteuid() == 0:  # permissions do not bind the superuser
        monkeypatch.setattr("builtins.open", _forbidden)
    else:
        path.chmod(0)
    refused(path, "no permission to read it")


def _forbidden(*_: object, **__: object) -> None:
    raise PermissionError(13, "Permission denied")


def test_names_that_cannot_be_opened() -> None:
    with pytest.raises(AudioError, match=r"'a\\x00b\.wav': cannot be opened"):
        read("a\0b.wav", 16_000)


@pytest.mark.parametrize("name", ["x.wav", "x.mp3", "x.m4a", "x.raw", "x"])
def test_empty_and_not_audio(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"")
    refused(path, r"is empty \(0 bytes\)")
    path.write_text("Call me Ishmael. Some years ago -- never mind how long precisely.\n" * 40)
    refused(path, "not audio", "libsndfile cannot read it")
    path.write_bytes(np.random.default_rng(1).bytes(4000))
    refused(path, "not audio", "libsndfile cannot read it", "holds no audio")
    for source in (io.BytesIO(), io.BytesIO(b"hello")):
        with pytest.raises(AudioError, match=r"audio stream: (is empty|not audio|libsndfile cannot)"):
            read(source, 16_000)


def test_playlists_open_nothing(tmp_path: Path) -> None:
    save(tmp_path, "wav16", tone(16_000, 0.1), 16_000)
    path = tmp_path / "list.wav"
    path.write_text("ffconcat version 1.0\nfile sound.wav\n")
    refused(path, "not audio", "libsndfile cannot read it")
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:9,\nsound.wav\n#EXT-X-ENDLIST\n")
    refused(path, "not audio", "libsndfile cannot read it")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seconds", [0.5, 10.0])
def test_cut_short(tmp_path: Path, kind: str, seconds: float, caplog: pytest.LogCaptureFixture) -> None:
    path = save(tmp_path, kind, speechlike(16_000, seconds), 16_000)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    if kind in ("vorbis", "opus") and seconds > 5:  # Ogg does not store its length
        samples = read(path, 16_000)
        assert 2 < len(samples) / 16_000 < 8
        assert info(path).duration == pytest.approx(len(samples) / 16_000, abs=0.1)
        assert "sound.o" in caplog.text and "no end-of-stream mark" in caplog.text
    else:
        refused(path, "cut short", "damaged", "holds no audio samples")


def test_a_part_before_the_damage_is_read(tmp_path: Path) -> None:
    wave = speechlike(16_000, 20.0)
    path = save(tmp_path, "flac", wave, 16_000)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    np.testing.assert_allclose(read(path, 16_000, start=1.0, duration=2.0), wave[16_000:48_000], atol=1e-4)
    with pytest.raises(AudioError, match="cut short"):
        read(path, 16_000, start=15.0, duration=2.0, strict=True)


@pytest.mark.parametrize("kind", ["flac", "vorbis", "opus"])
def test_garbage_in_the_middle(tmp_path: Path, kind: str) -> None:
    path = save(tmp_path, kind, speechlike(16_000, 10.0), 16_000)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 500] = np.random.default_rng(0).bytes(500)
    path.write_bytes(data)
    refused(path, "damaged")


def wav_header(rate: int = 16_000, channels: int = 1, size: int = 100, data: int = 100) -> bytes:
    """A 16-bit WAV file of ``data`` bytes of zeros whose header says what it is given."""
    form = struct.pack("<HHIIHH", 1, channels, rate, min(2 * rate, 2**32 - 1), 2, 16)
    chunks = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", size) + bytes(data)
    return b"RIFF" + struct.pack("<I", min(len(chunks), 2**32 - 1)) + chunks


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (wav_header(rate=0), "damaged"),
        (wav_header(rate=1), r"sample rate 1 Hz; accepted are 1000 to 768000 Hz"),
        (wav_header(rate=10**9), r"sample rate 1000000000 Hz"),
        (wav_header(channels=0), "damaged"),
        (wav_header(channels=10_000), "damaged"),
        (wav_header(channels=1000, size=20_000, data=20_000), "1000 channels; accepted are 1 to 256"),
        (wav_header(size=3600 * 32_000), "promises 115200000 bytes of samples, the file holds 100"),
        (wav_header(size=202), "promises 202 bytes of samples, the file holds 100"),
        (wav_header(size=0, data=0), "holds no audio samples"),
        (wav_header()[:30], "damaged"),
        (wav_header()[:44], "the file holds 0"),
    ],
)
def test_absurd_headers(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(data)
    refused(path, reason)
    with pytest.raises(AudioError, match=reason):
        info(path, strict=True)


def test_absurd_lengths_allocate_nothing(tmp_path: Path) -> None:
    wav = tmp_path / "x.wav"
    wav.write_bytes(wav_header(size=3600 * 32_000)[:100])
    flac = save(tmp_path, "flac", tone(16_000, 0.1), 16_000)
    data = bytearray(flac.read_bytes())
    data[21] |= 0x0F  # 36 bits: the number of samples
    data[22:26] = b"\xff" * 4
    flac.write_bytes(data)
    tracemalloc.start()
    try:
        refused(wav, "promises 115200000 bytes")
        refused(flac, "damaged header: it promises 4294967 s in")
        assert tracemalloc.get_traced_memory()[1] < 2e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000, 0x7FFFFFFF])
def test_lengths_of_files_written_to_a_pipe(tmp_path: Path, size: int) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(wav_header(size=size, data=3200))
    assert len(read(path, 16_000)) == 1600


@pytest.mark.parametrize("kind", ["wav16", "aiff", "vorbis", "sph", "mp3", "flac", "opus"])
def test_zero_length(tmp_path: Path, kind: str) -> None:
    path = save(tmp_path, kind, np.zeros(0), 16_000)
    refused(path, "holds no audio samples", "is empty", "damaged")
    with pytest.raises(AudioError, match=re.escape(str(path))):
        info(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_numbers(tmp_path: Path, bad: float) -> None:
    wave = tone(16_000, 1.0, channels=2).astype(np.float32)
    wave[12_000, 1] = bad
    path = save(tmp_path, "wavfloat", wave, 16_000)
    refused(path, r"the sample at 0\.750 s is NaN or infinite")
    assert len(read(path, 16_000, duration=0.7)) == 11_200


@pytest.mark.parametrize("kind", ["wav16", "aiff", "flac", "vorbis", "opus", "mp3", "sph", "w64", "caf"])
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=8))
def test_any_damage_is_read_or_refused(
    tmp_path: Path, kind: str, changes: list[tuple[int, int]], capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(save(tmp_path, kind, speechlike(16_000, 0.3), 16_000).read_bytes())
    for at, value in changes:
        data[at % len(data)] = value
    for attempt in (info, lambda source: read(source, 16_000)):
        with suppress(AudioError):
            attempt(io.BytesIO(data))
    assert "Traceback" not in capsys.readouterr().err
