"""Audio files: their samples, rates, channels, names."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from sounds import KINDS, dominant, save, tone

from asr.audio import AudioInfo, info, read, stream


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_keeps_its_samples(tmp_path: Path, kind: str) -> None:
    rate = 16_000
    wave = tone(rate, 1.3, hertz=300)
    path = save(tmp_path, kind, wave, rate)
    assert info(path).sample_rate == rate and info(path).channels == 1
    assert info(path).duration == pytest.approx(1.3, abs=0.05 if kind == "wavadpcm" else 1e-9)
    samples = read(path, rate)
    assert samples.dtype == np.float32 and samples.shape == (round(info(path).duration * rate),)
    error = np.abs(samples[: len(wave)] - wave[:, 0])[2000:-2000]
    assert error.max() <= KINDS[kind][3]


@pytest.mark.parametrize("target", [8_000, 16_000, 44_100])
@pytest.mark.parametrize(
    ("kind", "rate", "channels"),
    [
        (kind, rate, channels)
        for kind in ("wav16", "flac", "vorbis", "mp3")
        for rate, channels in [(8_000, 1), (11_025, 2), (22_050, 1), (44_100, 2), (48_000, 1)]
    ]
    + [
        ("opus", 8_000, 2),
        ("opus", 48_000, 4),
        ("wav24", 44_100, 3),
        ("flac", 22_050, 6),
        ("aiff", 48_000, 5),
        ("vorbis", 48_000, 4),
    ],
)
def test_a_tone_keeps_its_frequency_and_amplitude(
    tmp_path: Path, kind: str, rate: int, channels: int, target: int
) -> None:
    path = save(tmp_path, kind, tone(rate, 0.7, channels), rate)
    assert info(path) == AudioInfo(rate, channels, round(0.7 * rate) / rate)
    samples = read(path, target)
    assert len(samples) == pytest.approx(info(path).duration * target, abs=1)
    hertz, amplitude = dominant(samples, target)
    assert hertz == pytest.approx(440, abs=1)
    assert amplitude == pytest.approx(0.5, rel=0.01 if kind in ("wav16", "wav24", "flac", "aiff") else 0.05)


def test_resampling_removes_what_the_lower_rate_cannot_hold(tmp_path: Path) -> None:
    path = save(tmp_path, "wavfloat", tone(48_000, 0.5, hertz=6_000), 48_000)
    assert np.abs(read(path, 8_000)[200:-200]).max() < 1e-4


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    path = save(tmp_path, "flac", tone(16_000, 0.5), 16_000)
    for name in ("x.wav", "x", "x.mp4", "x.raw", "ü\n x.txt", os.fsdecode(b"\xff.flac")):
        other = tmp_path / name
        other.write_bytes(path.read_bytes())
        np.testing.assert_array_equal(read(other, 16_000), read(str(path), 16_000))


def test_files_that_cannot_seek(tmp_path: Path) -> None:
    path = save(tmp_path, "wav16", tone(16_000, 1.0), 16_000)
    code = (
        "import sys, asr.audio; from pathlib import Path;"
        "source = sys.stdin.buffer if sys.argv[1] == '-' else sys.argv[1];"
        "print(len(asr.audio.read(source, 16_000)))"
    )
    command = [sys.executable, "-c", code]
    data = path.read_bytes()
    done = subprocess.run([*command, "-"], input=data, capture_output=True, check=True)
    assert done.stdout.strip() == b"16000"
    with path.open("rb") as file:
        done = subprocess.run([*command, "-"], stdin=file, capture_output=True, check=True)
    assert done.stdout.strip() == b"16000"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(data,))
    writer.start()
    assert len(read(pipe, 16_000)) == 16_000
    writer.join()


def test_open_files_are_read_from_their_beginning_and_left_open(tmp_path: Path) -> None:
    data = save(tmp_path, "opus", tone(16_000, 1.0), 16_000).read_bytes()
    file = io.BytesIO(data)
    file.seek(100)
    assert len(read(file, 16_000)) == 16_000
    assert info(file) == AudioInfo(16_000, 1, 1.0)
    assert sum(len(block) for block in stream(file, 8_000, 0.1)) == 8_000
    assert not file.closed


def test_resampling_and_mixing_are_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "asr")
    plain = save(tmp_path, "wav16", tone(16_000, 0.1), 16_000, "plain")
    first = save(tmp_path, "wav16", tone(44_100, 0.1, 2), 44_100, "first")
    second = save(tmp_path, "wav16", tone(8_000, 0.1, 3), 8_000, "second")
    read(plain, 16_000)
    assert not caplog.records
    for path in (first, second, first):
        read(path, 16_000)
    messages = sorted(record.getMessage() for record in caplog.records)
    assert len(messages) == 2 and all("first.wav" in message for message in messages)
    assert "2 channels mixed to one" in messages[0] and "from 44100 to 16000 Hz" in messages[1]


def test_mp3_with_a_picture_before_it(tmp_path: Path) -> None:
    path = save(tmp_path, "mp3", tone(16_000, 3.0), 16_000)
    samples = read(path, 16_000)
    size = 300_000
    head = b"ID3\x04\0\0" + bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
    path.write_bytes(head + b"APIC" + bytes(size - 4) + path.read_bytes())
    np.testing.assert_allclose(read(path, 16_000), samples, atol=1e-6)


def test_import_is_light() -> None:
    code = "import sys, asr.audio; print([m for m in ('torch', 'av', 'lhotse', 'scipy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "rate", "seconds"),
    [
        ("speechocean762/WAVE/SPEAKER0001/000010011.opus", 16_000, 2.58),
        ("LibriSpeech/dev-clean/1462/170138/1462-170138-0000.mp3", 16_000, 14.55),
        ("fsdd/recordings/0_george_0.flac", 8_000, 0.298),
    ],
)
def test_real_recordings(shared_data: Path, name: str, rate: int, seconds: float) -> None:
    path = shared_data / name
    if not path.exists():
        pytest.skip(f"no file {path}")
    assert info(path) == AudioInfo(rate, 1, seconds)
    whole = read(path, 16_000)
    assert len(whole) == round(seconds * 16_000) and 0.01 < np.abs(whole).max() <= 1.5
    part = read(path, 16_000, start=0.1, duration=0.15)
    np.testing.assert_allclose(part, whole[1600:4000], atol=1e-6)
    np.testing.assert_allclose(np.concatenate(list(stream(path, 16_000, 0.37))), whole, atol=1e-6)
