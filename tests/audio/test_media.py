"""What libsndfile does not read, or only in part: the extra `media`."""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pytest
from sounds import dominant, refused, save, save_media, speechlike, tone

from asr.audio import info, read, stream
from asr.errors import AudioError


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("x.m4a", "aac"),
        ("x.mp4", "aac"),
        ("x.mov", "aac"),
        ("x.mkv", "aac"),
        ("x.webm", "libopus"),
        ("x.aac", "aac"),
        ("x.ac3", "ac3"),
        ("x.wv", "wavpack"),
    ],
)
def test_media(tmp_path: Path, name: str, codec: str) -> None:
    rate = 48_000
    path = save_media(tmp_path / name, tone(rate, 2.0)[:, 0], rate, codec)
    assert info(path).sample_rate == rate and info(path).channels == 1
    assert info(path).duration == pytest.approx(2.0, abs=0.06)
    for target in (rate, 16_000):
        samples = read(path, target)
        assert len(samples) / target == pytest.approx(2.0, abs=0.06)
        hertz, amplitude = dominant(samples, target)
        assert hertz == pytest.approx(440, abs=1) and amplitude == pytest.approx(0.5, rel=0.05)
    whole = read(path, 16_000)
    np.testing.assert_allclose(read(path, 16_000, start=0.3, duration=1.1), whole[4800:22400], atol=1e-6)
    np.testing.assert_allclose(np.concatenate(list(stream(path, 16_000, 0.21))), whole, atol=1e-6)
    with open(path, "rb") as file:
        np.testing.assert_array_equal(read(file, 16_000), whole)
        assert not file.closed
    with tempfile.SpooledTemporaryFile() as upload:  # whose mode is that of writing
        upload.write(path.read_bytes())
        np.testing.assert_array_equal(read(cast(BinaryIO, upload), 16_000), whole)


def test_tags_that_are_not_utf8_do_not_matter(tmp_path: Path) -> None:
    path = save_media(tmp_path / "a.m4a", 0.1 * np.random.default_rng(0).standard_normal(16000), 16000, title="Caféé")
    tagged = path.read_bytes()
    assert "éé".encode() in tagged
    path.write_bytes(tagged.replace("éé".encode(), b"\xe9" * 4))
    assert abs(len(read(path, 16000)) - 16000) < 2048


@pytest.mark.parametrize("name", ["x.m4a", "x.mkv", "x.wv", "x.mp4", "faststart.m4a"])
def test_media_cut_short(tmp_path: Path, name: str) -> None:
    options = {"movflags": "faststart"} if name == "faststart.m4a" else {}
    codec = "wavpack" if name.endswith("wv") else "aac"
    path = save_media(tmp_path / name, speechlike(44_100, 5.0), 44_100, codec, **options)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    refused(path, "cut short", "damaged")


@pytest.fixture
def vbr(tmp_path: Path) -> Path:
    """20 s of MP3 of variable bit rate, without its length: noise first, then silence."""
    wave = 0.1 * np.random.default_rng(0).standard_normal(44_100 * 20)
    wave[44_100 * 10 :] = 0
    return save_media(tmp_path / "vbr.mp3", wave, 44_100, "libmp3lame", write_xing="0")


def test_mp3_of_variable_bit_rate_is_read_whole(vbr: Path) -> None:
    assert info(vbr).duration == pytest.approx(20.0, abs=0.1)
    assert len(read(vbr, 16_000)) / 16_000 == pytest.approx(20.0, abs=0.1)


def test_an_mp3_without_its_length_is_warned_of_without_media(
    vbr: Path, caplog: pytest.LogCaptureFixture, no_media: None
) -> None:
    assert len(read(vbr, 16_000)) > 16_000
    assert "vbr.mp3: an MP3 without its length" in caplog.text and "asr-recurrent[media]" in caplog.text


@pytest.mark.parametrize("kind", ["opus", "vorbis", "mp3"])
def test_joined_files_are_read_whole(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("av", reason="the extra `media` is not installed")
    first = save(tmp_path, kind, speechlike(16_000, 5.0), 16_000, "first")
    second = save(tmp_path, kind, speechlike(16_000, 3.0), 16_000, "second")
    first.write_bytes(first.read_bytes() + second.read_bytes())
    assert info(first).duration == pytest.approx(8.0, abs=0.3)
    assert len(read(first, 16_000)) / 16_000 == pytest.approx(8.0, abs=0.3)


def test_flac_without_its_length(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="the extra `media` is not installed")
    wave = speechlike(16_000, 5.0)
    path = save(tmp_path, "flac", wave, 16_000)
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    path.write_bytes(data)
    assert info(path).duration == pytest.approx(5.0)
    np.testing.assert_allclose(read(path, 16_000), wave, atol=1e-4)


def test_without_media_the_extra_is_named(tmp_path: Path, no_media: None) -> None:
    for name, data in (("x.m4a", b"\0\0\0\x20ftypM4A " + bytes(500)), ("x.wav", b"words, words\n" * 40)):
        path = tmp_path / name
        path.write_bytes(data)
        refused(path, r'Format not recognised.*pip install "asr-recurrent\[media\]"')
    first = save(tmp_path, "opus", speechlike(16_000, 2.0), 16_000)
    other = save(tmp_path, "opus", speechlike(16_000, 1.0), 16_000, "other").read_bytes()
    first.write_bytes(first.read_bytes() + other)
    refused(first, r"several streams in one Ogg file.*asr-recurrent\[media\]")


def test_an_error_names_what_can_be_read_here(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    (tmp_path / "a.wav").write_text("no audio")
    if importlib.util.find_spec("av"):
        with pytest.raises(AudioError, match=r"accepted are wav, .*, NIST sphere, m4a, mp4"):
            read(tmp_path / "a.wav", 16_000)
    request.getfixturevalue("no_media")
    with pytest.raises(AudioError, match=r'NIST sphere, and with `pip install "asr-recurrent\[media\]"` m4a'):
        read(tmp_path / "a.wav", 16_000)
