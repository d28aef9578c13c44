"""Timestamps of containers: gaps, late starts, overlaps."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from sounds import speechlike

from asr.audio import info, read
from asr.audio.timeline import Timeline

RATE = 16_000
FRAME = 1024


def save_timed(
    path: Path, parts: Sequence[tuple[float, np.ndarray]], codec: str = "aac", video: float | None = None
) -> Path:
    """Save waveforms at times, in seconds; with ``video``, also a video track of that length in seconds from 0 on."""
    av = pytest.importorskip("av", reason="the extra `media` is not installed")
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("mpeg4", rate=10) if video else None
        if pictures is not None:
            pictures.width = pictures.height = 32
            pictures.pix_fmt = "yuv420p"
        track = container.add_stream(codec, rate=RATE, layout="mono")
        if pictures is not None and video:
            for number in range(round(10 * video)):
                picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
                picture.pts, picture.time_base = number, Fraction(1, 10)
                container.mux(pictures.encode(picture))
            container.mux(pictures.encode(None))
        for seconds, wave in parts:
            for at in range(0, len(wave), FRAME):
                piece = np.zeros(FRAME, np.float32)
                piece[: len(wave[at : at + FRAME])] = wave[at : at + FRAME]
                form = "s16" if codec.startswith("pcm") else "fltp"
                values = (piece * 32767).astype(np.int16) if form == "s16" else piece
                frame = av.AudioFrame.from_ndarray(values[None], format=form, layout="mono")
                frame.sample_rate, frame.pts, frame.time_base = RATE, round(seconds * RATE) + at, Fraction(1, RATE)
                container.mux(track.encode(frame))
        container.mux(track.encode(None))
    return path


def loud(samples: np.ndarray, begin: float, end: float) -> float:
    """Root mean square of a part, given in seconds."""
    return float(np.sqrt(np.mean(samples[round(begin * RATE) : round(end * RATE)] ** 2)))


@pytest.mark.parametrize(
    ("name", "codec"), [("x.mkv", "aac"), ("x.mp4", "aac"), ("x.ts", "aac"), ("x.mkv", "pcm_s16le")]
)
def test_a_gap_is_silence(tmp_path: Path, name: str, codec: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "asr")
    path = save_timed(tmp_path / name, [(0, speechlike(RATE, 1.5)), (6, speechlike(RATE, 1.98))], codec)
    samples = read(path, RATE, strict=True)
    assert len(samples) / RATE == pytest.approx(8.0, abs=0.1)
    assert info(path).duration == pytest.approx(8.0, abs=0.1)
    assert loud(samples, 0.1, 1.4) > 0.1 and loud(samples, 6.1, 7.8) > 0.1
    assert loud(samples, 1.7, 5.9) < 0.01
    assert "no audio from 1." in caplog.text
    part = read(path, RATE, start=5.5, duration=1.0)
    np.testing.assert_array_equal(part, samples[88_000:104_000])


@pytest.mark.parametrize("name", ["x.mkv", "x.mp4", "x.mov", "x.ts"])
def test_a_start_later_than_the_picture_counts(tmp_path: Path, name: str) -> None:
    codec = "pcm_s16le" if name == "x.mov" else "aac"
    path = save_timed(tmp_path / name, [(2, speechlike(RATE, 1.5))], codec, video=4.0)
    samples = read(path, RATE)
    assert len(samples) / RATE == pytest.approx(3.5, abs=0.15)
    assert loud(samples, 0.0, 1.85) < 0.01 < 0.1 < loud(samples, 2.1, 3.4)


@pytest.mark.parametrize(
    ("name", "start", "expected"), [("x.mkv", 2, 3.5), ("x.mp4", 2, 3.5), ("x.ts", 2, 1.5), ("x.mkv", 900, 1.5)]
)
def test_a_late_start_of_audio_alone(tmp_path: Path, name: str, start: float, expected: float) -> None:
    """It counts where the clock of a format starts at 0; a part of a live stream starts anywhere."""
    path = save_timed(tmp_path / name, [(start, speechlike(RATE, 1.5))])
    samples = read(path, RATE, strict=True)
    assert len(samples) / RATE == pytest.approx(expected, abs=0.15)
    assert loud(samples, expected - 1.3, expected - 0.2) > 0.1


def test_the_timeline_fills_trims_and_starts_anew() -> None:
    def ends(timestamps: Sequence[float | None], resets: bool = False, end: float = np.inf) -> list[float]:
        timeline = Timeline(1000, 0.0, resets=resets, end=end)
        positions = []
        for timestamp in timestamps:
            silence, overlap = timeline.place(timestamp)
            timeline.position += silence + max(0, 1000 - overlap)
            positions.append(timeline.position / 1000)
        return positions

    assert ends([0, 1, 2]) == [1, 2, 3]
    assert ends([0, 1.05, 1.95]) == [1, 2, 3]  # jitter
    assert ends([0, 2.5, 3.5]) == [1, 3.5, 4.5]
    assert ends([0, None, 5]) == [1, 2, 6]
    assert ends([0, 0, 1]) == [1, 1, 2]  # the same packet twice
    assert ends([0, 0.5, 1.5]) == [1, 1.5, 2.5]
    assert ends([0, 1, 0, 1, 2], resets=True) == [1, 2, 3, 4, 5]
    assert ends([0, 9, 60], resets=True) == [1, 10, 11]
    assert ends([0, 60, 61]) == [1, 61, 62]
    assert ends([0, 60, 61], end=10) == [1, 2, 3]  # a timestamp that cannot be true
    assert ends([0, 1e9, 1e9 + 1]) == [1, 2, 3]


def test_joined_transport_streams_are_read_whole(tmp_path: Path) -> None:
    first = save_timed(tmp_path / "a.ts", [(0, speechlike(RATE, 2.0))], "aac")
    second = save_timed(tmp_path / "b.ts", [(0, speechlike(RATE, 3.0))], "aac")
    first.write_bytes(first.read_bytes() + second.read_bytes())
    assert len(read(first, RATE)) / RATE == pytest.approx(5.0, abs=0.3)
