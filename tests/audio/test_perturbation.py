"""Speed perturbation and additive noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.audio.perturbation import add_noise, speed_perturb
from asr.errors import InputError


class TestSpeedPerturb:
    @pytest.mark.parametrize("factor", [0.9, 1.0, 1.1])
    def test_length_and_pitch(self, factor: float) -> None:
        tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000).astype(np.float32)
        fast = speed_perturb(tone, factor)
        assert fast.dtype == np.float32
        assert abs(len(fast) - 16000 / factor) <= 1
        peak = np.argmax(np.abs(np.fft.rfft(fast * np.hanning(len(fast))))) * 16000 / len(fast)
        assert abs(peak - 1000 * factor) < 2

    def test_pure(self) -> None:
        tone = np.ones(100, np.float32)
        same = speed_perturb(tone, 1.0)
        same[:] = 0
        assert tone.all()

    def test_wrong_factor(self) -> None:
        with pytest.raises(InputError, match="speed factor 0"):
            speed_perturb(np.ones(10, np.float32), 0)


class TestAddNoise:
    @settings(max_examples=30, deadline=None)
    @given(snr=st.floats(-20, 40), noise_length=st.integers(1, 9000), seed=st.integers(0, 1000))
    def test_the_ratio_is_exact(self, snr: float, noise_length: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        speech = (0.1 * rng.standard_normal(4000)).astype(np.float32)
        noise = (rng.standard_normal(noise_length) + 2).astype(np.float32)
        before = speech.copy(), noise.copy()
        noisy = add_noise(speech, noise, snr, rng)
        assert noisy.dtype == np.float32
        added = noisy.astype(np.float64) - speech
        assert 10 * np.log10(np.sum(speech.astype(np.float64) ** 2) / np.sum(added**2)) == pytest.approx(snr, abs=1e-3)
        np.testing.assert_array_equal(before[0], speech)
        np.testing.assert_array_equal(before[1], noise)

    def test_a_random_stretch_of_the_noise(self) -> None:
        speech, noise = np.ones(5, np.float32), np.arange(1, 100, dtype=np.float32)
        starts = set()
        for seed in range(10):
            added = add_noise(speech, noise, 0.0, np.random.default_rng(seed)).astype(np.float64) - 1
            step = np.diff(added)
            np.testing.assert_allclose(step, step[0], rtol=1e-4)
            starts.add(round(added[0] / step[0]))
        assert len(starts) > 5

    def test_short_noise_is_repeated(self) -> None:
        added = add_noise(np.ones(12, np.float32), np.array([1, 2, 3], np.float32), 0, np.random.default_rng(0)) - 1
        np.testing.assert_allclose(added[3:], added[:-3])
        assert len(set(np.round(added, 4))) == 3

    @pytest.mark.parametrize(("speech", "noise"), [(0.0, 1.0), (1.0, 0.0), (0.0, 0.0)])
    def test_silence(self, speech: float, noise: float) -> None:
        waveform = np.full(100, speech, np.float32)
        result = add_noise(waveform, np.full(50, noise, np.float32), 10, np.random.default_rng(0))
        np.testing.assert_array_equal(result, waveform)
        assert result is not waveform

    def test_wrong_input(self) -> None:
        rng = np.random.default_rng(0)
        with pytest.raises(InputError, match=r"noise of shape \(0,\)"):
            add_noise(np.ones(5), np.ones(0), 0, rng)
        with pytest.raises(InputError, match=r"speech of shape \(5, 2\)"):
            add_noise(np.ones((5, 2)), np.ones(5), 0, rng)
