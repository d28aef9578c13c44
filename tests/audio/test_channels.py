"""Channels and tracks of audio files."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from sounds import dominant, save, speechlike, tone

from asr.audio import info, read, stream
from asr.audio.mix import mix, polarities
from asr.errors import AudioError, InputError

RATE = 16_000


def two_tones(rate: int = RATE) -> np.ndarray:
    """300 Hz in the first channel, 700 Hz in the second, ``(n, 2)``."""
    return np.concatenate([tone(rate, 3.0, hertz=300), tone(rate, 3.0, hertz=700)], axis=1)


@pytest.mark.parametrize("rate", [RATE, 44_100])
@pytest.mark.parametrize("kind", ["wav16", "flac", "mp3"])
def test_one_channel_is_read(tmp_path: Path, kind: str, rate: int) -> None:
    path = save(tmp_path, kind, two_tones(rate), rate)
    for channel, hertz in ((1, 300), (2, 700)):
        samples = read(path, RATE, channel=channel)
        assert dominant(samples, RATE)[0] == pytest.approx(hertz, abs=2)
        np.testing.assert_array_equal(np.concatenate(list(stream(path, RATE, 0.7, channel=channel))), samples)
    with pytest.raises(AudioError, match="has no channel 3; accepted: 1 to 2"):
        read(path, RATE, channel=3)
    with pytest.raises(InputError, match="channel is 0; accepted are a number from 1 on"):
        read(path, RATE, channel=0)


def test_the_number_of_channels_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "asr")
    path = save(tmp_path, "wav16", two_tones(), RATE)
    read(path, RATE, channel=2)
    assert not caplog.records
    read(path, RATE)
    read(path, RATE)
    assert len(caplog.records) == 1 and "2 channels mixed to one" in caplog.text and "--channel" in caplog.text


@pytest.mark.parametrize("gain", [-1.0, -0.5, -2.0])
@pytest.mark.parametrize("kind", ["wav16", "flac"])
def test_channels_of_opposite_polarity_do_not_cancel(
    tmp_path: Path, kind: str, gain: float, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "asr")
    wave = 0.4 * speechlike(RATE, 7.3)
    path = save(tmp_path, kind, np.stack([wave, gain * wave], axis=1), RATE)
    samples = read(path, RATE)
    level = np.sqrt(np.mean(wave**2)) * (1 + abs(gain)) / 2
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(level, rel=0.01)
    assert "opposite polarity" in caplog.text
    part = read(path, RATE, start=1.7, duration=2.9)
    np.testing.assert_array_equal(part, samples[27_200:73_600])
    np.testing.assert_array_equal(np.concatenate(list(stream(path, RATE, 0.31))), samples)


def test_six_channels_of_which_one_is_inverted(tmp_path: Path) -> None:
    wave = 0.3 * speechlike(RATE, 3.0)
    path = save(tmp_path, "wav16", np.stack([wave, -wave, wave, 0 * wave, 0.1 * wave, wave], axis=1), RATE)
    assert info(path).channels == 6
    np.testing.assert_allclose(read(path, RATE), wave * 4.1 / 6, atol=1e-3)
    np.testing.assert_allclose(read(path, RATE, channel=5), wave * 0.1, atol=1e-3)


def test_polarity_of_channels_that_are_not_inverted_stays() -> None:
    rng = np.random.default_rng(0)
    wave = rng.normal(size=(32_000, 1)).astype(np.float32)
    noise = rng.normal(size=(32_000, 1)).astype(np.float32)
    for pair in ((wave, wave), (wave, 0 * wave), (wave, noise), (wave, noise - 0.5 * wave), (0 * wave, 0 * wave)):
        samples = np.concatenate(pair, axis=1)
        assert polarities(samples).tolist() == [1, 1]
        np.testing.assert_array_equal(mix(samples, "x"), samples.mean(axis=1, dtype=np.float32))
    assert polarities(np.concatenate([wave, 0.1 * noise - wave], axis=1)).min() == -1


@pytest.mark.parametrize("name", ["x.mkv", "x.mp4", "x.ts"])
def test_tracks(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    av = pytest.importorskip("av", reason="the extra `media` is not installed")
    caplog.set_level(logging.INFO, "asr")
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        tracks = [container.add_stream("aac", rate=RATE, layout="mono") for _ in range(2)]
        waves = [tone(RATE, 2.048, hertz=hertz)[:, 0].astype(np.float32) for hertz in (300, 700)]
        for at in range(0, len(waves[0]), 1024):
            for track, wave in zip(tracks, waves, strict=True):
                frame = av.AudioFrame.from_ndarray(wave[None, at : at + 1024], format="fltp", layout="mono")
                frame.sample_rate, frame.pts, frame.time_base = RATE, at, Fraction(1, RATE)
                container.mux(track.encode(frame))
        for track in tracks:
            container.mux(track.encode(None))
    assert dominant(read(path, RATE), RATE)[0] == pytest.approx(300, abs=2)
    assert "2 audio tracks, of which the first is read" in caplog.text
    assert dominant(read(path, RATE, track=1), RATE)[0] == pytest.approx(300, abs=2)
    assert dominant(read(path, RATE, track=2), RATE)[0] == pytest.approx(700, abs=2)
    assert info(path, track=2).duration == pytest.approx(2.05, abs=0.1)
    for track in (0, 3):
        with pytest.raises(InputError, match=r"track is 0|has no audio track 3; accepted: tracks 1 to 2"):
            read(path, RATE, track=track)
    wav = save(tmp_path, "wav16", tone(RATE, 0.5), RATE)
    assert len(read(wav, RATE, track=1)) == 8000
    with pytest.raises(AudioError, match="has no audio track 2; accepted: track 1"):
        read(wav, RATE, track=2)


@pytest.mark.parametrize(("layout", "channels"), [("5.1", 6), ("7.1", 8), ("hexadecagonal", 16)])
@pytest.mark.parametrize("name", ["x.mkv", "x.mov", "x.wav"])
def test_many_channels(tmp_path: Path, name: str, layout: str, channels: int) -> None:
    av = pytest.importorskip("av", reason="the extra `media` is not installed")
    path = tmp_path / name
    waves = np.stack([tone(RATE, 1.0, hertz=200 + 100 * number)[:, 0] for number in range(channels)], axis=1)
    with av.open(str(path), "w") as container:
        track = container.add_stream("pcm_s16le", rate=RATE, layout=layout)
        values = np.round(waves * 32767).astype(np.int16)
        for at in range(0, RATE, 1000):
            packed = np.ascontiguousarray(values[at : at + 1000]).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(packed, format="s16", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = RATE, at, Fraction(1, RATE)
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
    assert info(path).channels == channels
    for channel in (1, 2, channels):
        np.testing.assert_allclose(read(path, RATE, channel=channel), waves[:, channel - 1], atol=1e-4)
    np.testing.assert_allclose(read(path, RATE), waves.mean(axis=1), atol=1e-4)
