"""Codecs that libsndfile does not know, in containers that it does, and in others."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from sounds import refused, save, save_media, speechlike

from asr.audio import info, read, stream
from asr.errors import AudioError

# container, codec, sample rate, least correlation with what was encoded
CODECS = [
    ("caf", "alac", 16_000, 0.999),
    ("caf", "adpcm_ima_qt", 16_000, 0.99),
    ("caf", "ac3", 48_000, 0.97),
    ("caf", "libopencore_amrnb", 8_000, 0.7),
    ("wav", "g722", 16_000, 0.97),
    ("wav", "g726", 8_000, 0.97),
    ("wav", "g723_1", 8_000, 0.9),
    ("wav", "adpcm_yamaha", 16_000, 0.99),
    ("wav", "flac", 16_000, 0.999),
    ("wav", "ac3", 48_000, 0.97),
    ("wav", "eac3", 48_000, 0.97),
    ("wav", "mp2", 16_000, 0.97),
    ("avi", "pcm_s16le", 16_000, 0.999),
    ("avi", "ac3", 48_000, 0.97),
    ("avi", "mp2", 16_000, 0.97),
    ("avi", "g722", 16_000, 0.97),
    ("mkv", "alac", 16_000, 0.999),
    ("mkv", "tta", 16_000, 0.999),
    ("mkv", "pcm_s16le", 16_000, 0.999),
    ("mkv", "libmp3lame", 16_000, 0.97),
    ("mov", "adpcm_ima_qt", 16_000, 0.99),
    ("mov", "pcm_mulaw", 8_000, 0.99),
    ("mp4", "alac", 16_000, 0.999),
    ("mp4", "flac", 16_000, 0.999),
    ("3gp", "libopencore_amrnb", 8_000, 0.7),
    ("ogg", "flac", 16_000, 0.999),
    ("au", "g722", 16_000, 0.97),
    ("tta", "tta", 16_000, 0.999),
    ("eac3", "eac3", 48_000, 0.97),
    ("amr", "libopencore_amrnb", 8_000, 0.7),
]
SECONDS = 3.0


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a file of each codec, where this FFmpeg has it."""
    av = pytest.importorskip("av", reason="the extra `media` is not installed")
    folder = tmp_path_factory.mktemp("codecs")
    for extension, codec, rate, _ in CODECS:
        wave = (speechlike(rate, SECONDS) * 32767).astype(np.int16)
        try:
            with av.open(str(folder / f"{codec}.{extension}"), "w") as container:
                track = container.add_stream(codec, rate=rate, layout="mono")
                if codec == "g723_1":
                    track.bit_rate = 6300
                if codec == "g726":
                    track.bit_rate = 32_000
                for at in range(0, len(wave), 1024):
                    frame = av.AudioFrame.from_ndarray(wave[None, at : at + 1024], format="s16p", layout="mono")
                    frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
                    container.mux(track.encode(frame))
                container.mux(track.encode(None))
        except (av.FFmpegError, ValueError):  # an FFmpeg without this encoder
            (folder / f"{codec}.{extension}").unlink(missing_ok=True)
    yield folder
    shutil.rmtree(folder)


def encoded_file(folder: Path, extension: str, codec: str) -> Path:
    path = folder / f"{codec}.{extension}"
    if not path.exists():
        pytest.skip(f"this FFmpeg does not write {codec} to {extension}")
    return path


@pytest.mark.parametrize(("extension", "codec", "rate", "likeness"), CODECS)
def test_what_libsndfile_cannot_decode_is_read_by_ffmpeg(
    encoded: Path, extension: str, codec: str, rate: int, likeness: float
) -> None:
    path = encoded_file(encoded, extension, codec)
    samples = read(path, rate, strict=True)
    assert len(samples) / rate == pytest.approx(SECONDS, abs=0.12)
    assert info(path, strict=True).duration == pytest.approx(SECONDS, abs=0.12)
    wave = speechlike(rate, SECONDS)
    size = min(len(wave), len(samples))
    spectra = np.fft.rfft(samples[:size], 2 * size) * np.conj(np.fft.rfft(wave[:size], 2 * size))
    correlation = np.fft.irfft(spectra) / np.sqrt(np.sum(samples[:size] ** 2) * np.sum(wave[:size] ** 2))
    assert correlation.max() > likeness
    delay = (int(correlation.argmax()) + size) % (2 * size) - size
    assert abs(delay) / rate < 0.04  # of the codec
    np.testing.assert_array_equal(np.concatenate(list(stream(path, rate, 0.4))), samples)
    np.testing.assert_array_equal(read(path, rate, start=1, duration=1), samples[rate : 2 * rate])


@pytest.mark.parametrize(("extension", "codec", "rate", "likeness"), CODECS)
def test_what_is_left_of_a_file_cut_short_is_read(
    encoded: Path,
    tmp_path: Path,
    extension: str,
    codec: str,
    rate: int,
    likeness: float,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = encoded_file(encoded, extension, codec)
    data = path.read_bytes()
    cut = tmp_path / path.name
    cut.write_bytes(data[: len(data) * 6 // 10])
    if extension in ("mov", "mp4", "3gp") or (extension == "caf" and codec != "adpcm_ima_qt"):
        with pytest.raises(AudioError, match="damaged or cut short"):  # the index is behind the samples
            read(cut, rate)
        return
    samples = read(cut, rate)
    assert 0.3 * SECONDS < len(samples) / rate < 0.7 * SECONDS
    np.testing.assert_array_equal(samples[: rate // 2], read(path, rate)[: rate // 2])
    if extension in ("eac3", "amr"):  # formats that promise nothing
        assert not caplog.records
        return
    assert f"{cut}: " in caplog.text and "all that can be decoded is read" in caplog.text
    refused(cut, "cut short", "damaged")


@pytest.mark.parametrize("name", ["alac.caf", "ima4.caf", "g722.wav", "g726.wav", "x.spx"])
def test_without_media_the_extra_is_named(
    encoded: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, no_media: None
) -> None:
    names = {"ima4.caf": "adpcm_ima_qt.caf"}
    if name == "x.spx":
        path = tmp_path / name
        path.write_bytes(b"OggS\0\x02" + bytes(20) + b"\x01\x50Speex   " + bytes(72))
    else:
        path = encoded_file(encoded, name.split(".")[1], names.get(name, name).split(".")[0])
    refused(path, r'libsndfile cannot read it \(.*\).*pip install "asr-recurrent\[media\]"')


def test_joined_mp3s_with_a_tag_and_a_picture_between(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("av", reason="the extra `media` is not installed")
    first = save(tmp_path, "mp3", speechlike(16_000, 4.0), 16_000, "first").read_bytes()
    second = save(tmp_path, "mp3", speechlike(16_000, 3.0), 16_000, "second").read_bytes()
    picture = b"\xff\xd8\xff\xe0" + np.random.default_rng(0).bytes(20_000)
    size = len(picture) + 24
    tag = b"ID3\x03\0\0" + bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0)) + b"APIC"
    path = tmp_path / "joined.mp3"
    path.write_bytes(first + tag + len(picture).to_bytes(4, "big") + bytes(16) + picture + second)
    samples = read(path, 16_000)
    assert len(samples) / 16_000 == pytest.approx(7.0, abs=0.5)
    tail = read(tmp_path / "second.mp3", 16_000)[16_000:32_000]
    spectra = np.fft.rfft(samples, 2**18) * np.conj(np.fft.rfft(tail, 2**18))
    assert np.fft.irfft(spectra).max() > 0.9 * np.sum(tail**2)  # the second part is in it


def test_three_joined_mp3s_are_not_refused(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="the extra `media` is not installed")
    path = save(tmp_path, "mp3", speechlike(16_000, 2.0), 16_000)
    path.write_bytes(path.read_bytes() * 3)
    assert len(read(path, 16_000, strict=True)) / 16_000 == pytest.approx(6.0, abs=0.4)


@pytest.mark.parametrize("name", ["speex.spx", "opus.caf"])
def test_codecs_that_no_test_can_encode(name: str) -> None:
    pytest.importorskip("av", reason="the extra `media` is not installed")
    path = Path(__file__).parents[1] / "data" / "audio" / name
    samples = read(path, 16_000, strict=True)
    assert len(samples) / 16_000 == pytest.approx(1.56, abs=0.03)
    assert info(path).duration == pytest.approx(1.56, abs=0.03)
    assert 0.3 < np.abs(samples).max() < 1  # "open the door"


@pytest.mark.parametrize("seconds", [1.6, 3.3])
def test_mp3_in_wav(tmp_path: Path, seconds: float, caplog: pytest.LogCaptureFixture) -> None:
    path = save_media(tmp_path / "x.wav", speechlike(16_000, seconds), 16_000, "libmp3lame")
    assert path.read_bytes()[20:22] == b"\x55\0"
    assert len(read(path, 16_000, strict=True)) / 16_000 == pytest.approx(seconds, abs=0.15)
    assert not caplog.records


def test_joined_mp3s_of_different_rates_and_channels(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="the extra `media` is not installed")
    first = save(tmp_path, "mp3", speechlike(16_000, 4.0), 16_000, "first")
    wave = speechlike(44_100, 3.0)
    second = save(tmp_path, "mp3", np.stack([wave, wave], axis=1), 44_100, "second")
    first.write_bytes(first.read_bytes() + second.read_bytes())
    assert len(read(first, 16_000)) / 16_000 == pytest.approx(7.0, abs=0.3)
