"""Headers as other programs write them: unknown sizes, padding that is missing, streams joined, odd samples."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sounds import save, speechlike

from asr.audio import info, read
from asr.errors import AudioError

RATE = 16_000
WAVE = speechlike(RATE, 1.0)
PCM = np.rint(WAVE * 32767).astype("<i2").tobytes()
FORMAT = struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16)
FLOATS = struct.pack("<HHIIHH", 3, 1, RATE, 4 * RATE, 4, 32)


def chunk(name: bytes, content: bytes, size: int | None = None) -> bytes:
    """Return a RIFF chunk without padding."""
    return name + struct.pack("<I", len(content) if size is None else size) + content


def riff(*chunks: bytes) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def rf64(data_bytes: int) -> bytes:
    sizes = struct.pack("<QQQI", 0, data_bytes, 0, 0)
    unknown = 2**32 - 1
    chunks = chunk(b"ds64", sizes) + chunk(b"fmt ", FORMAT) + chunk(b"data", PCM, unknown)
    return b"RF64" + struct.pack("<I", unknown) + b"WAVE" + chunks


def au(size: int) -> bytes:
    samples = np.frombuffer(PCM, "<i2").astype(">i2").tobytes()
    return b".snd" + struct.pack(">IIIII", 24, size, 3, RATE, 1) + samples


FILES: dict[str, Callable[[], bytes]] = {
    "no padding before fmt": lambda: riff(chunk(b"JUNK", b"12345"), chunk(b"fmt ", FORMAT), chunk(b"data", PCM)),
    "no padding after fmt": lambda: riff(chunk(b"fmt ", FORMAT), chunk(b"LIST", b"INFO1"), chunk(b"data", PCM)),
    "padding": lambda: riff(chunk(b"fmt ", FORMAT), chunk(b"LIST", b"INFO1") + b"\0", chunk(b"data", PCM)),
    "both": lambda: riff(
        *(chunk(b"JUNK", b"12345") + b"\0", chunk(b"fmt ", FORMAT), chunk(b"LIST", b"INFO1"), chunk(b"data", PCM))
    ),
    "data of size 0": lambda: riff(chunk(b"fmt ", FORMAT), chunk(b"data", PCM, 0)),
    "RF64 of size 0": lambda: rf64(0),
    "RF64": lambda: rf64(len(PCM)),
    "AU of unknown size": lambda: au(2**32 - 1),
    "AU of size 0": lambda: au(0),
}


@pytest.mark.parametrize("kind", FILES)
def test_headers(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    content = FILES[kind]()
    assert info(io.BytesIO(content)).duration == pytest.approx(1.0, abs=1e-3)
    np.testing.assert_allclose(read(io.BytesIO(content), RATE), WAVE, atol=1e-4)
    assert not caplog.records


@pytest.mark.parametrize("sample", [np.nan, np.inf, -np.inf, 9930.0, -32768.0, 3e38])
def test_samples_that_are_no_audio(sample: float) -> None:
    wave = np.append(WAVE, sample).astype("<f4")
    with pytest.raises(AudioError, match=r"the sample at 1\.000 s is .*; accepted are finite numbers"):
        read(io.BytesIO(riff(chunk(b"fmt ", FLOATS), chunk(b"data", wave.tobytes()))), RATE)
    loud = (5 * WAVE).astype("<f4")  # beyond 1, as mixes of floats are
    np.testing.assert_allclose(
        read(io.BytesIO(riff(chunk(b"fmt ", FLOATS), chunk(b"data", loud.tobytes()))), RATE), loud
    )


@pytest.mark.parametrize("kind", ["vorbis", "opus"])
def test_a_joined_copy_is_not_damaged(kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = save(tmp_path, kind, speechlike(RATE, 2.0), RATE).read_bytes()
    joined = read(io.BytesIO(content * 2), RATE, strict=True)
    assert len(joined) == pytest.approx(4 * RATE, abs=0.02 * RATE)
    np.testing.assert_allclose(joined[:30_000], read(io.BytesIO(content), RATE)[:30_000], atol=0.05)
    assert "damaged" not in caplog.text


def test_a_part_of_a_flac_file_that_cannot_be_sought_in(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "x.flac"
    soundfile.write(path, rng.uniform(-0.5, 0.5, 3 * RATE), RATE, format="FLAC")
    whole = read(path, RATE)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    part = read(path, RATE, start=1.0, duration=0.5)
    np.testing.assert_allclose(part, whole[RATE : RATE + RATE // 2])
    assert "0.000 s" not in caplog.text
