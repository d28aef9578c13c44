from __future__ import annotations

import io
import logging
import os
import re
import struct
import subprocess
import sys
import threading
import tracemalloc
from contextlib import suppress
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import asr.audio
from asr.audio import AudioInfo, info, read, stream
from asr.errors import AudioError, InputError

# name of the kind: (extension, format and subtype of libsndfile, error of a sample that its coding may make)
KINDS: dict[str, tuple[str, str, str, float]] = {
    "wav8": (".wav", "WAV", "PCM_U8", 0.01),
    "wav16": (".wav", "WAV", "PCM_16", 1e-4),
    "wav24": (".wav", "WAV", "PCM_24", 1e-6),
    "wav32": (".wav", "WAV", "PCM_32", 1e-6),
    "wavfloat": (".wav", "WAV", "FLOAT", 1e-6),
    "wavulaw": (".wav", "WAV", "ULAW", 0.03),
    "wavadpcm": (".wav", "WAV", "MS_ADPCM", 0.1),
    "w64": (".w64", "W64", "PCM_16", 1e-4),
    "rf64": (".wav", "RF64", "PCM_16", 1e-4),
    "flac": (".flac", "FLAC", "PCM_16", 1e-4),
    "vorbis": (".ogg", "OGG", "VORBIS", 0.1),
    "opus": (".opus", "OGG", "OPUS", 0.1),
    "mp3": (".mp3", "MP3", "MPEG_LAYER_III", 0.1),
    "aiff": (".aiff", "AIFF", "PCM_16", 1e-4),
    "au": (".au", "AU", "PCM_16", 1e-4),
    "caf": (".caf", "CAF", "PCM_16", 1e-4),
    "sph": (".sph", "NIST", "PCM_16", 1e-4),
}


def tone(rate: int, seconds: float, channels: int = 1, hertz: float = 440.0) -> np.ndarray:
    """A sine of amplitude 0.5 in the mean of its channels, ``(n, channels)``; each has its own share."""
    wave = 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)
    shares = np.linspace(0.5, 1.5, channels) if channels > 1 else np.ones(1)
    return wave[:, None] * shares


def speechlike(rate: int, seconds: float) -> np.ndarray:
    """Modulated tones and noise, float32 ``(n,)``: no two stretches of it are alike."""
    time = np.arange(round(rate * seconds)) / rate
    noise = np.random.default_rng(7).standard_normal(len(time))
    wave = np.sin(2 * np.pi * (150 + 60 * time) * time) * (0.6 + 0.4 * np.sin(5 * time))
    return (0.3 * wave + 0.03 * noise).astype(np.float32)


def save(folder: Path, kind: str, samples: np.ndarray, rate: int, name: str = "sound") -> Path:
    extension, container, subtype, _ = KINDS[kind]
    path = folder / (name + extension)
    soundfile.write(path, samples, rate, format=container, subtype=subtype)
    return path


def save_media(
    path: Path, samples: np.ndarray, rate: int, codec: str = "aac", title: str = "", **container_options: str
) -> Path:
    """Mono samples, encoded by PyAV."""
    av = pytest.importorskip("av", reason="the extra `media` is not installed")
    with av.open(str(path), "w", options=container_options) as container:
        container.metadata["title"] = title
        track = container.add_stream(codec, rate=rate, layout="mono")
        if codec == "libmp3lame":  # a variable bit rate
            track.codec_context.options = {"flags": "+qscale", "global_quality": "500"}
        for at in range(0, len(samples), 4096):
            frame = av.AudioFrame.from_ndarray(
                samples[None, at : at + 4096].astype(np.float32), format="fltp", layout="mono"
            )
            frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
    return path


def test_tags_that_are_not_utf8_do_not_matter(tmp_path: Path) -> None:
    path = save_media(tmp_path / "a.m4a", 0.1 * np.random.default_rng(0).standard_normal(16000), 16000, title="Caféé")
    tagged = path.read_bytes()
    assert "éé".encode() in tagged
    path.write_bytes(tagged.replace("éé".encode(), b"\xe9" * 4))
    assert abs(len(read(path, 16000)) - 16000) < 2048


def dominant(samples: np.ndarray, rate: int) -> tuple[float, float]:
    """Frequency in Hz and amplitude of the strongest tone, away from the ends."""
    middle = samples[len(samples) // 5 : -len(samples) // 5]
    window = np.hanning(len(middle))
    spectrum = np.abs(np.fft.rfft(middle * window, 8 * len(middle)))
    peak = int(spectrum.argmax())
    return peak * rate / (8 * len(middle)), 2 * spectrum[peak] / window.sum()


@pytest.fixture(autouse=True)
def _forget_what_was_said() -> None:
    asr.audio._said.clear()


@pytest.fixture
def no_media(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)


# ---- what is read


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


def test_resampling_and_mixing_are_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
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


# ---- parts and blocks


@pytest.fixture(scope="module")
def long_sounds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, dict[int, np.ndarray]]]:
    """Kind → a file of 23 s at 16 kHz, and the whole of it at some rates."""
    folder = tmp_path_factory.mktemp("long")
    wave = speechlike(16_000, 23.0)
    sounds = {}
    for kind in ("wav16", "flac", "vorbis", "opus", "mp3", "aiff", "wavadpcm", "sph"):
        path = save(folder, kind, wave, 16_000, kind)
        sounds[kind] = path, {rate: read(path, rate) for rate in (16_000, 8_000, 44_100)}
    return sounds


@pytest.mark.parametrize("kind", ["wav16", "flac", "vorbis", "opus", "mp3", "aiff", "wavadpcm", "sph"])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.floats(0, 22.9),
    duration=st.none() | st.floats(0.01, 30),
    rate=st.sampled_from([16_000, 8_000, 44_100]),
)
def test_a_part_is_a_slice_of_the_whole(
    long_sounds: Any, kind: str, start: float, duration: float | None, rate: int
) -> None:
    path, whole = long_sounds[kind]
    first = round(start * rate)
    last = None if duration is None else round((start + duration) * rate)
    part = read(path, rate, start=start, duration=duration)
    np.testing.assert_allclose(part, whole[rate][first:last], rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["wav16", "flac", "vorbis", "opus", "mp3", "aiff", "wavadpcm", "sph"])
def test_the_whole_is_what_libsndfile_decodes(long_sounds: Any, kind: str) -> None:
    path, whole = long_sounds[kind]
    reference, _ = soundfile.read(path, dtype="float32")
    np.testing.assert_allclose(whole[16_000], reference, rtol=0, atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(tiles=st.lists(st.integers(1, 4000), min_size=1, max_size=5))
def test_adjoining_parts_tile_the_whole(long_sounds: Any, tiles: list[int]) -> None:
    path, whole = long_sounds["flac"]
    edges = [0, *accumulate(tiles)]
    parts = [read(path, 8_000, start=first / 1000, duration=(last - first) / 1000) for first, last in pairwise(edges)]
    np.testing.assert_allclose(np.concatenate(parts), whole[8_000][: 8 * edges[-1]], rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["wav16", "opus", "mp3"])
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seconds=st.floats(0.01, 40), rate=st.sampled_from([16_000, 8_000, 44_100]))
def test_blocks_join_to_the_whole(long_sounds: Any, kind: str, seconds: float, rate: int) -> None:
    path, whole = long_sounds[kind]
    blocks = list(stream(path, rate, seconds))
    assert all(len(block) == round(seconds * rate) for block in blocks[:-1])
    assert 0 < len(blocks[-1]) <= round(seconds * rate)
    np.testing.assert_allclose(np.concatenate(blocks), whole[rate], rtol=0, atol=1e-6)


@pytest.mark.parametrize("rate", [11_025, 16_001, 22_050, 44_101, 48_000, 96_000])
def test_a_resampled_part_equals_the_slice_for_odd_rates(tmp_path: Path, rate: int) -> None:
    path = save(tmp_path, "wavfloat", speechlike(rate, 4.0), rate)
    whole = read(path, 16_000)
    part = read(path, 16_000, start=2.3456, duration=1.2)
    np.testing.assert_allclose(part, whole[round(2.3456 * 16_000) : round(3.5456 * 16_000)], atol=1e-6)


def test_streaming_takes_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", 48_000, 2, "PCM_16") as sound:
        for _ in range(10):
            sound.write(np.zeros((48_000 * 12, 2), np.int16))
    tracemalloc.start()
    try:
        total = sum(len(block) for block in stream(path, 16_000, 5.0))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == 120 * 16_000
    assert peak < 4e6  # the waveform has 7.7 MB, as stored 46 MB as floats


@pytest.mark.parametrize(
    ("start", "duration"),
    [(-1.0, None), (float("nan"), None), (float("inf"), None), (0.0, 0.0), (0.0, -1.0), (0.0, float("nan"))],
)
def test_parts_that_make_no_sense(tmp_path: Path, start: float, duration: float | None) -> None:
    path = save(tmp_path, "wav16", tone(16_000, 0.1), 16_000)
    with pytest.raises(InputError, match=r"sound\.wav: (start|duration) is .*; accepted are seconds"):
        read(path, 16_000, start=start, duration=duration)


@pytest.mark.parametrize("kind", ["wav16", "opus", "mp3"])
def test_parts_without_samples(tmp_path: Path, kind: str) -> None:
    path = save(tmp_path, kind, tone(16_000, 1.0), 16_000)
    for rate in (16_000, 8_000):
        with pytest.raises(AudioError, match=r"the part from 5\.0 s holds no samples; the audio lasts 1\.000 s"):
            read(path, rate, start=5.0)
        with pytest.raises(AudioError, match=r"from 0\.5 s of 1e-05 s holds no samples"):
            read(path, rate, start=0.5, duration=1e-5)


def test_rates_and_blocks_that_make_no_sense(tmp_path: Path) -> None:
    path = save(tmp_path, "wav16", tone(16_000, 0.1), 16_000)
    for rate in (0, -1, 10**9):
        with pytest.raises(InputError, match=f"sample_rate is {rate}; accepted are 1000 to 768000 Hz"):
            read(path, rate)
    for seconds in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="block_seconds is"):
            next(stream(path, 16_000, seconds))


# ---- damaged files


def refused(path: Path, *reasons: str) -> None:
    """``read`` and ``stream`` refuse the file, name it, give one of the reasons and say what they accept."""
    for attempt in (lambda: read(path, 16_000), lambda: list(stream(path, 8_000, 0.5))):
        with pytest.raises(AudioError) as caught:
            attempt()
        message = str(caught.value)
        assert message.startswith(f"{path}: ")
        assert re.search("|".join(reasons), message), message
        assert "accepted are" in message or "is wanted" in message


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
    refused(path, "not audio", "libsndfile cannot read it", "holds no sound")
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
    if kind in ("vorbis", "opus") and seconds > 5:  # Ogg does not tell its length
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
    with pytest.raises(AudioError, match="damaged or cut short"):
        read(path, 16_000, start=15.0, duration=2.0)


@pytest.mark.parametrize("kind", ["flac", "vorbis", "opus"])
def test_garbage_in_the_middle(tmp_path: Path, kind: str) -> None:
    path = save(tmp_path, kind, speechlike(16_000, 10.0), 16_000)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 500] = np.random.default_rng(0).bytes(500)
    path.write_bytes(data)
    refused(path, "damaged")


@pytest.mark.parametrize("name", ["x.m4a", "x.mkv", "x.wv", "x.mp4", "faststart.m4a"])
def test_media_cut_short(tmp_path: Path, name: str) -> None:
    options = {"movflags": "faststart"} if name == "faststart.m4a" else {}
    codec = "wavpack" if name.endswith("wv") else "aac"
    path = save_media(tmp_path / name, speechlike(44_100, 5.0), 44_100, codec, **options)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    refused(path, "cut short", "damaged")


def wav_header(rate: int = 16_000, channels: int = 1, size: int = 100, data: int = 100) -> bytes:
    """A 16-bit WAV file of ``data`` bytes of zeros whose header tells what it is given."""
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
        (wav_header(size=102), "promises 102 bytes of samples, the file holds 100"),
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
        info(path)


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


# ---- formats that libsndfile would read in part only


@pytest.fixture
def vbr(tmp_path: Path) -> Path:
    """20 s of MP3, of variable bit rate and without a length: noise first, then silence."""
    wave = 0.1 * np.random.default_rng(0).standard_normal(44_100 * 20)
    wave[44_100 * 10 :] = 0
    return save_media(tmp_path / "vbr.mp3", wave, 44_100, "libmp3lame", write_xing="0")


def test_mp3_of_variable_bit_rate_is_read_whole(vbr: Path) -> None:
    assert info(vbr).duration == pytest.approx(20.0, abs=0.1)
    assert len(read(vbr, 16_000)) / 16_000 == pytest.approx(20.0, abs=0.1)


def test_mp3_that_does_not_tell_its_length_is_warned_of_without_media(
    vbr: Path, caplog: pytest.LogCaptureFixture, no_media: None
) -> None:
    assert len(read(vbr, 16_000)) > 16_000
    assert "vbr.mp3: an MP3 that does not tell its length" in caplog.text and "asr[media]" in caplog.text


@pytest.mark.parametrize("kind", ["opus", "vorbis", "mp3"])
def test_joined_files_are_read_whole(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("av", reason="the extra `media` is not installed")
    first = save(tmp_path, kind, speechlike(16_000, 5.0), 16_000, "first")
    second = save(tmp_path, kind, speechlike(16_000, 3.0), 16_000, "second")
    first.write_bytes(first.read_bytes() + second.read_bytes())
    assert info(first).duration == pytest.approx(8.0, abs=0.3)
    assert len(read(first, 16_000)) / 16_000 == pytest.approx(8.0, abs=0.3)


def test_flac_that_does_not_tell_its_length(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="the extra `media` is not installed")
    wave = speechlike(16_000, 5.0)
    path = save(tmp_path, "flac", wave, 16_000)
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    path.write_bytes(data)
    assert info(path).duration == pytest.approx(5.0)
    np.testing.assert_allclose(read(path, 16_000), wave, atol=1e-4)


def test_mp3_with_a_picture_before_it(tmp_path: Path) -> None:
    path = save(tmp_path, "mp3", tone(16_000, 3.0), 16_000)
    samples = read(path, 16_000)
    size = 300_000
    head = b"ID3\x04\0\0" + bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
    path.write_bytes(head + b"APIC" + bytes(size - 4) + path.read_bytes())
    np.testing.assert_allclose(read(path, 16_000), samples, atol=1e-6)


def test_without_media_the_extra_is_named(tmp_path: Path, no_media: None) -> None:
    for name, data in (("x.m4a", b"\0\0\0\x20ftypM4A " + bytes(500)), ("x.wav", b"words, words\n" * 40)):
        path = tmp_path / name
        path.write_bytes(data)
        refused(path, r'not a format that it knows.*pip install "asr\[media\]"')
    first = save(tmp_path, "opus", speechlike(16_000, 2.0), 16_000)
    other = save(tmp_path, "opus", speechlike(16_000, 1.0), 16_000, "other").read_bytes()
    first.write_bytes(first.read_bytes() + other)
    refused(first, r"several streams in one Ogg file.*asr\[media\]")


def test_import_is_light() -> None:
    code = "import sys, asr.audio; print([m for m in ('torch', 'av', 'lhotse', 'scipy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---- real recordings


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
