"""Frames without any signal."""

from __future__ import annotations

import numpy as np
import pytest
import soxr
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.features import MFCC, FilterBank, KaldiFilterBank
from asr.features.silence import MARGIN_SECONDS, silent_frames

RATE = 16000
FRAME = 0.04


def silent(*waveforms: np.ndarray) -> list[list[bool]]:
    """Whether each frame of 40 ms of each waveform is silent."""
    lengths = torch.tensor([len(waveform) for waveform in waveforms])
    batch = torch.full((len(waveforms), int(lengths.max())), 0.5)  # padded with anything
    for row, waveform in zip(batch, waveforms, strict=True):
        row[: len(waveform)] = torch.from_numpy(waveform)
    frames = lengths // round(FRAME * RATE)
    found = silent_frames(batch, lengths, RATE, frames, FRAME)
    return [row[:count] for row, count in zip(found.tolist(), frames.tolist(), strict=True)]


def noise(seconds: float, dbfs: float, seed: int = 0) -> np.ndarray:
    samples = np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return (samples * 10 ** (dbfs / 20)).astype(np.float32)


@pytest.mark.parametrize(
    "waveform",
    [
        np.zeros(3 * RATE, np.float32),
        np.full(3 * RATE, 0.25, np.float32),
        np.full(3 * RATE + 7, -1.0, np.float32),
        soxr.resample(np.full(3 * 44100, 0.3, np.float32), 44100, RATE),  # with ringing at both ends
        noise(3, -82),
        np.round(noise(3, -93) * 32768) / np.float32(32768),  # dither
        np.zeros(640, np.float32),
    ],
    ids=["zeros", "constant", "full scale", "resampled constant", "quiet noise", "dither", "one frame"],
)
def test_no_signal(waveform: np.ndarray) -> None:
    assert all(silent(waveform.astype(np.float32))[0])


def syllables(seconds: float, dbfs: float, seed: int = 0) -> np.ndarray:
    """Noise that comes and goes four times a second."""
    samples = noise(seconds, dbfs, seed)
    return (samples * np.abs(np.sin(np.arange(len(samples)) * (4 * np.pi / RATE)))).astype(np.float32)


@pytest.mark.parametrize("dbfs", [-70, -60, -20, 0])
def test_signal(dbfs: float) -> None:
    assert not any(silent(syllables(10, dbfs))[0])
    assert not any(silent(noise(2.5, dbfs))[0])  # too short to be known as noise
    assert not any(silent(noise(10, dbfs - 3) + syllables(10, dbfs, seed=1))[0])


@pytest.mark.parametrize("dbfs", [-70, -60, -20, 0])
@pytest.mark.parametrize("muted", [0, 5], ids=["noise", "noise after zeros"])
def test_steady_noise_is_no_signal(dbfs: float, muted: float) -> None:
    zeros = np.zeros(round(muted * RATE), np.float32)
    assert all(silent(np.concatenate([zeros, noise(60, dbfs)]))[0])
    tone = 10 ** (dbfs / 20) * np.sin(np.arange(10 * RATE) * (2 * np.pi * 440 / RATE)).astype(np.float32)
    assert all(silent(np.concatenate([zeros, tone]))[0])
    sound = syllables(1, dbfs + 10, seed=1)
    frames = np.array(silent(np.concatenate([zeros, noise(5, dbfs), sound, noise(5, dbfs, seed=2)]))[0])
    begin, end = round((muted + 5 - MARGIN_SECONDS) / FRAME), round((muted + 6 + MARGIN_SECONDS) / FRAME)
    assert frames[: begin - 2].all() and not frames[begin + 3 : end - 3].any() and frames[end + 2 :].all()


def test_silence_begins_half_a_second_from_a_signal() -> None:
    waveform = np.concatenate([np.zeros(4 * RATE), noise(0.2, -30), np.zeros(3 * RATE)]).astype(np.float32)
    frames = np.array(silent(waveform)[0])
    assert frames[: round(3.4 / FRAME)].all() and frames[round(4.8 / FRAME) :].all()
    assert not frames[round(3.55 / FRAME) : round(4.65 / FRAME)].any()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.floats(0.05, 2.5), st.sampled_from([-120.0, -30.0])), min_size=1, max_size=6))
def test_a_batch_gives_what_single_waveforms_give(parts: list[tuple[float, float]]) -> None:
    waveform = np.concatenate([noise(seconds, dbfs) for seconds, dbfs in parts])
    other = np.zeros(5 * RATE, np.float32)
    assert silent(waveform, other) == [*silent(waveform), *silent(other)]


@pytest.mark.parametrize("normalization", ["none", "utterance"])
@pytest.mark.parametrize("kind", [FilterBank, MFCC, KaldiFilterBank])
def test_features_of_zeros_are_finite(kind: type, normalization: str) -> None:
    """Energies are floored before the logarithm: at 1e-10, by Kaldi at 1.19e-7 (on the scale of 16-bit integers)."""
    features, _ = kind(normalization=normalization)(torch.zeros(1, RATE), torch.tensor([RATE]))
    assert torch.isfinite(features).all()
    if normalization == "none" and kind is not MFCC:
        floor = np.log(1e-10) if kind is FilterBank else np.log(np.finfo(np.float32).eps)
        static = features[:, :, : 41 if kind is FilterBank else 80]
        np.testing.assert_allclose(static, floor, rtol=1e-6)
