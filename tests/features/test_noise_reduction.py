"""Reduction of steady noise: a scalar reference, batches, and what it does to tones in noise."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from asr.features import FilterBank
from asr.features.noise_reduction import log_noise, reduce_noise

RATE = 16000


def reference(log_energies: np.ndarray) -> np.ndarray:
    """Noise reduction of log energies (T, B) with loops: every sum is over what there is."""
    energies = np.exp(log_energies.astype(np.float64))
    frames, bands = energies.shape
    chunks = max(frames // 8, 1)
    means = [energies[8 * c : min(8 * c + 8, frames)].mean(0) for c in range(chunks)]
    last = max(chunks - 37, 0)
    starts = sorted({min(9 * k, last) for k in range(last // 9 + 2)})
    quantiles = []
    for start in starts:
        window = np.sort(means[start : start + 37], axis=0)
        quantile = 1.25 * window[int(0.2 * (len(window) - 1))]
        quantiles.append(np.array([quantile[max(b - 1, 0) : b + 2].mean() for b in range(bands)]))
    gains = np.empty_like(energies)
    noises = np.empty_like(energies)
    for t in range(frames):
        place = min(max((t / 8 - 18.5) / 9, 0), last / 9)
        below = int(place)
        above = min(below + 1, len(starts) - 1)
        noise = noises[t] = quantiles[below] ** (1 - place + below) * quantiles[above] ** (place - below)
        for b in range(bands):
            near = slice(max(b - 1, 0), b + 2)
            ratio = max(energies[max(t - 1, 0) : t + 2, near].mean() / noise[b] - 1, 0)
            gains[t, b] = max((ratio / (1 + ratio)) ** 2, 0.1)
    ratios = 10 * np.log10(energies.mean(0)) - 10 * np.log10(noises).mean(0)
    return log_energies + np.log(gains) if ratios.mean() < 10 else log_energies


def random_energies(frames: int, bands: int = 6) -> Tensor:
    """Log energies of noise; those of every third number of frames vary so much that they count as speech without."""
    generator = torch.Generator().manual_seed(frames)
    return (4 if frames % 3 == 0 else 2) * torch.randn(frames, bands, generator=generator) - 8


@pytest.mark.parametrize("frames", [1, 7, 8, 9, 100, 296, 303, 304, 400, 1000])
def test_equals_the_reference(frames: int) -> None:
    x = random_energies(frames)
    found = reduce_noise(x[None], torch.tensor([frames]))[0]
    np.testing.assert_allclose(found.numpy(), reference(x.numpy()), atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 700), min_size=2, max_size=4))
def test_a_batch_gives_what_its_utterances_give_alone(lengths: list[int]) -> None:
    rows = [random_energies(length) for length in lengths]
    batch = torch.full((len(rows), max(lengths) + 5, 6), 1e4)  # loud beyond their ends
    for row, x in zip(batch, rows, strict=True):
        row[: len(x)] = x
    found = reduce_noise(batch, torch.tensor(lengths))
    for row, x in zip(found, rows, strict=True):
        torch.testing.assert_close(row[: len(x)], reduce_noise(x[None], torch.tensor([len(x)]))[0], atol=1e-4, rtol=0)


def test_the_level_makes_no_difference() -> None:
    x, length = random_energies(500)[None], torch.tensor([500])
    torch.testing.assert_close(reduce_noise(x + 5, length), reduce_noise(x, length) + 5)


def tone_in_noise(tone: float, noise: float, seconds: int = 8) -> np.ndarray:
    """Bursts of a tone of 1 kHz, half a second of each second, in white noise of a standard deviation."""
    time = np.arange(seconds * RATE) / RATE
    bursts = tone * np.sin(2 * np.pi * 1000 * time) * (time % 1 < 0.5)
    return (bursts + noise * np.random.default_rng(0).standard_normal(len(time))).astype(np.float32)


def test_steady_noise_gets_weaker_and_speech_does_not() -> None:
    waveform = torch.from_numpy(tone_in_noise(0.1, 0.01))[None]
    length = torch.tensor([waveform.shape[1]])
    plain, reduced = (
        FilterBank(num_mels=40, energy=False, deltas=0, normalization="none", denoise=denoise)(waveform, length)[0][0]
        for denoise in (False, True)
    )
    decibels = (plain - reduced) * 10 / math.log(10)
    assert decibels.min() >= -1e-4 and decibels.max() <= 10 + 1e-4
    band = int(plain.amax(0).argmax())  # of 1 kHz
    burst = plain[:, band] > plain[:, band].max() - 1
    assert burst.float().mean() == pytest.approx(0.5, abs=0.05)
    assert decibels[burst, band].max() < 0.1
    assert decibels[~burst].mean() > 8


@pytest.mark.parametrize(("noise", "changed"), [(0.05, True), (0.001, False)])
def test_only_noisy_utterances_change(noise: float, changed: bool) -> None:
    """Bursts 40 dB above the noise between them leave it as it is, at 10 dB it is reduced."""
    generator = np.random.default_rng(1)
    bursts = np.repeat(np.arange(16) % 2, RATE // 2)
    waveform = (0.1 * bursts + noise) * generator.standard_normal(len(bursts))
    features = [
        FilterBank(num_mels=40, energy=False, deltas=0, normalization="none", denoise=denoise)(
            torch.from_numpy(waveform.astype(np.float32))[None], torch.tensor([len(waveform)])
        )[0]
        for denoise in (False, True)
    ]
    assert torch.equal(*features) != changed


def test_the_estimate_follows_noise_that_changes() -> None:
    """White noise of 20 s is 20 dB louder in its second half."""
    generator = torch.Generator().manual_seed(0)
    energies = torch.rand(1, 2000, 8, generator=generator).mul(2)
    energies[:, 1000:] *= 100
    noise = log_noise(energies, torch.tensor([2000]))[0].exp()
    assert noise[:700].mean() == pytest.approx(1, abs=0.15)
    assert noise[1300:].mean() == pytest.approx(100, abs=15)
    assert (noise[1:] >= noise[:-1] * 0.9).all()  # from one to the other without a jump down


def test_energy_and_derivatives_are_those_of_the_reduced_bands() -> None:
    waveform = torch.from_numpy(tone_in_noise(0.1, 0.01))[None]
    length = torch.tensor([waveform.shape[1]])
    plain, reduced = (
        FilterBank(num_mels=20, deltas=1, normalization="none", denoise=denoise)(waveform, length)[0][0]
        for denoise in (False, True)
    )
    torch.testing.assert_close(reduced[:, 20], plain[:, 20])  # the energy of the frame stays
    expected = reduce_noise(plain[None, :, :20], torch.tensor([len(plain)]))[0]
    torch.testing.assert_close(reduced[:, :20], expected)
    slope = sum(k * (expected[8 + k] - expected[8 - k]) for k in range(1, 5)) / 60
    torch.testing.assert_close(reduced[8, 21:41], slope, atol=1e-4, rtol=1e-4)
