"""Sizes in headers that are wrong although no sample is missing, and files of which some are."""

from __future__ import annotations

import logging
import struct
from pathlib import Path

import numpy as np
import pytest
from sounds import KINDS, refused, save, speechlike

from asr.audio import info, read

RATE = 16_000
WAVE = speechlike(RATE, 1.56)
PCM = np.round(WAVE * 32767).astype("<i2").tobytes()


def chunk(name: bytes, content: bytes, size: int | None = None, pad: bool = True) -> bytes:
    length = len(content) if size is None else size
    return name + struct.pack("<I", length) + content + (b"\0" if pad and len(content) % 2 else b"")


FORMAT = struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16)
FMT = chunk(b"fmt ", FORMAT)


def riff(*chunks: bytes, size: int | None = None) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body


def tag(size: int = 0) -> bytes:
    return b"ID3\x03\0\0" + bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0)) + bytes(size)


WAVS = {
    "plain": riff(FMT, chunk(b"data", PCM)),
    "the header counted in": riff(FMT, chunk(b"data", PCM, len(PCM) + 44)),
    "the RIFF header counted in": riff(FMT, chunk(b"data", PCM, len(PCM) + 36), size=len(PCM) + 44),
    "padding counted in": riff(FMT, chunk(b"data", PCM, len(PCM) + 1)),
    "one sample too many": riff(FMT, chunk(b"data", PCM, len(PCM) + 2)),
    "data size 0": riff(FMT, chunk(b"data", PCM, 0), size=0),
    "data size 0, RIFF size right": riff(FMT, chunk(b"data", PCM, 0)),
    "data size 0xFFFFFFFF": riff(FMT, chunk(b"data", PCM, 0xFFFFFFFF), size=0xFFFFFFFF),
    "data size of sox": riff(FMT, chunk(b"data", PCM, 0x7FFFFFFF - 36), size=0x7FFFFFFF),
    "data size of arecord": riff(FMT, chunk(b"data", PCM, 0x80000000), size=0x80000024),
    "RIFF size 0": riff(FMT, chunk(b"data", PCM), size=0),
    "RIFF size 0xFFFFFFFF": riff(FMT, chunk(b"data", PCM), size=0xFFFFFFFF),
    "RIFF size too small": riff(FMT, chunk(b"data", PCM), size=100),
    "RIFF size of the whole file": riff(FMT, chunk(b"data", PCM), size=len(PCM) + 44),
    "ID3 in front": tag(10) + riff(FMT, chunk(b"data", PCM)),
    "two tags in front": tag(500) + tag(0) + riff(FMT, chunk(b"data", PCM)),
    "a large tag in front": tag(70_000) + riff(FMT, chunk(b"data", PCM)),
    "a chunk in front": riff(chunk(b"JUNK", bytes(28)), FMT, chunk(b"data", PCM)),
    "an odd chunk before the data": riff(FMT, chunk(b"LIST", b"INFOISFT\x05\0\0\0abcd\0"), chunk(b"data", PCM)),
    "a chunk behind": riff(FMT, chunk(b"data", PCM), chunk(b"LIST", b"INFOISFT\x04\0\0\0abc\0")),
    "a chunk behind that is cut": riff(FMT, chunk(b"data", PCM), chunk(b"LIST", b"INFO", 400)),
    "an unknown chunk": riff(FMT, chunk(b"\x01\xff z", b"what"), chunk(b"data", PCM)),
    "zeros behind": riff(FMT, chunk(b"data", PCM)) + bytes(512),
    "ID3 behind": riff(FMT, chunk(b"data", PCM)) + tag(100),
    "a format of 18 bytes": riff(chunk(b"fmt ", FORMAT + b"\0\0"), chunk(b"data", PCM)),
    "a format of 40 bytes": riff(chunk(b"fmt ", FORMAT + b"\0\0" + bytes(22)), chunk(b"data", PCM)),
    "a fact of another length": riff(FMT, chunk(b"fact", struct.pack("<I", 10**6)), chunk(b"data", PCM)),
    "wrong bytes per second": riff(chunk(b"fmt ", FORMAT[:8] + bytes(4) + FORMAT[12:]), chunk(b"data", PCM)),
}


@pytest.mark.parametrize("what", WAVS)
def test_no_sample_is_missing(tmp_path: Path, what: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(WAVS[what])
    samples = read(path, RATE, strict=True)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    if what in ("zeros behind", "ID3 behind"):
        samples = samples[: len(WAVE)]
    np.testing.assert_array_equal(samples, np.frombuffer(PCM, "<i2").astype(np.float32) / 32768)
    assert info(path).duration == 1.56


@pytest.mark.parametrize("kind", ["flac", "aiff", "au", "caf", "vorbis", "w64", "sph", "mp3"])
def test_a_tag_in_front_of_other_formats(tmp_path: Path, kind: str) -> None:
    path = save(tmp_path, kind, WAVE, RATE)
    samples = read(path, RATE)
    path.write_bytes(tag(2000) + tag(10) + path.read_bytes())
    np.testing.assert_allclose(read(path, RATE, strict=True), samples, atol=1e-6)


@pytest.mark.parametrize("what", ["plain", "ID3 in front", "a chunk in front", "RIFF size 0", "the header counted in"])
def test_samples_are_missing(tmp_path: Path, what: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(WAVS[what][:-16_000])
    samples = read(path, RATE)
    np.testing.assert_array_equal(samples, np.frombuffer(PCM[:-16_000], "<i2").astype(np.float32) / 32768)
    assert f"{path}: cut short after 1.060 s" in caplog.text
    assert info(path).duration == 1.06
    refused(path, r"cut short after 1\.060 s")
    assert len(caplog.records) == 1  # though it was read several times


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_left_is_what_was_there(tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    path = save(tmp_path, kind, speechlike(RATE, 10.0), RATE)
    whole = read(path, RATE)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    samples = read(path, RATE)
    assert 3 < len(samples) / RATE < 7
    np.testing.assert_allclose(samples[: 2 * RATE], whole[: 2 * RATE], atol=1e-6)
    assert "cut short" in caplog.text or "damaged" in caplog.text


@pytest.mark.parametrize("kind", ["flac", "vorbis", "opus", "mp3"])
def test_sound_before_and_behind_damage_is_read(tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("av", reason="the extra `media` is not installed")
    path = save(tmp_path, kind, speechlike(RATE, 20.0), RATE)
    whole = read(path, RATE)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 500] = np.random.default_rng(0).bytes(500)
    path.write_bytes(data)
    samples = read(path, RATE)
    assert len(samples) == pytest.approx(len(whole), abs=RATE // 5)
    for part in (slice(2 * RATE, 4 * RATE), slice(16 * RATE, 18 * RATE)):
        spectra = np.fft.rfft(samples[part], 2**16) * np.conj(np.fft.rfft(whole[part], 2**16))
        assert np.fft.irfft(spectra).max() > 0.9 * np.sum(whole[part] ** 2)
    if kind != "mp3":  # whose frames have no check
        assert "damaged or cut short after" in caplog.text
        refused(path, "damaged")


def test_sound_before_damage_is_read_without_media(
    tmp_path: Path, no_media: None, caplog: pytest.LogCaptureFixture
) -> None:
    path = save(tmp_path, "flac", speechlike(RATE, 20.0), RATE)
    whole = read(path, RATE)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 500] = np.random.default_rng(0).bytes(500)
    path.write_bytes(data)
    samples = read(path, RATE)
    assert 5 < len(samples) / RATE < 15
    np.testing.assert_array_equal(samples[: 5 * RATE], whole[: 5 * RATE])
    assert "its header promises 20.000 s" in caplog.text


@pytest.mark.parametrize("subtype", ["MPEG_LAYER_III", "GSM610", "IMA_ADPCM", "MS_ADPCM", "G721_32"])
def test_padding_of_a_codec_in_wav_is_no_damage(tmp_path: Path, subtype: str, caplog: pytest.LogCaptureFixture) -> None:
    import soundfile

    path = tmp_path / "x.wav"
    try:
        soundfile.write(path, speechlike(RATE, 1.6), RATE, format="WAV", subtype=subtype)
    except (soundfile.LibsndfileError, ValueError):
        pytest.skip(f"this libsndfile does not write {subtype}")
    assert len(read(path, RATE, strict=True)) / RATE == pytest.approx(1.6, abs=0.15)
    data = bytearray(path.read_bytes())
    at = data.find(b"fact")
    if at > 0:  # a length that counts two more frames
        count = int.from_bytes(data[at + 8 : at + 12], "little")
        data[at + 8 : at + 12] = (count + 2 * 1152).to_bytes(4, "little")
        path.write_bytes(data)
        assert len(read(path, RATE, strict=True)) / RATE == pytest.approx(1.6, abs=0.15)
    assert not caplog.records


@pytest.mark.parametrize("kind", ["flac", "vorbis", "opus", "wav16", "aiff", "mp3", "w64"])
def test_zeros_behind(tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    path = save(tmp_path, kind, WAVE, RATE)
    samples = read(path, RATE)
    path.write_bytes(path.read_bytes() + bytes(700))
    read_again = read(path, RATE, strict=True)
    np.testing.assert_allclose(read_again[: len(samples)], samples, atol=1e-6)
    assert len(read_again) - len(samples) <= 1152 and not caplog.records
