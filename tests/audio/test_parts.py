"""Parts and blocks of audio files."""

from __future__ import annotations

import tracemalloc
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sounds import save, speechlike, tone

from asr.audio import read, stream
from asr.errors import AudioError, InputError


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
