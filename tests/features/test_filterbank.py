"""Log filter-bank energies against librosa's; precision."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch
from waveforms import fitted, one, speech

from asr.features import MFCC, FilterBank
from asr.features.filterbank import mel_filters


def librosa_power(waveform: np.ndarray, sample_rate: int, window: int, hop: int, fft: int) -> np.ndarray:
    """|STFT|² (bins, T) of librosa for windows that begin at t * hop."""
    before = (fft - window) // 2  # librosa centers the window in the FFT frame
    padded = np.pad(waveform.astype(np.float64), (before, fft - window - before))
    return (
        np.abs(librosa.stft(padded, n_fft=fft, win_length=window, hop_length=hop, center=False, dtype=np.complex128))
        ** 2
    )


class TestFilterBank:
    @pytest.mark.parametrize(
        ("sample_rate", "num_mels", "scale", "low", "high"),
        [
            (16000, 40, "slaney", 0.0, None),
            (16000, 80, "slaney", 20.0, 7600.0),
            (16000, 40, "htk", 0.0, None),
            (8000, 23, "htk", 125.0, 3800.0),
            (44100, 64, "slaney", 0.0, 8000.0),
        ],
    )
    def test_filters_equal_librosa(
        self, sample_rate: int, num_mels: int, scale: str, low: float, high: float | None
    ) -> None:
        fft = FilterBank(sample_rate, num_mels, mel_scale=scale, low_hz=low, high_hz=high).fft_length
        theirs = librosa.filters.mel(
            sr=sample_rate,
            n_fft=fft,
            n_mels=num_mels,
            fmin=low,
            fmax=high,
            htk=scale == "htk",
            dtype=np.float64,
        )
        ours = mel_filters(sample_rate, fft, num_mels, low, high, scale)
        np.testing.assert_array_equal(ours.astype(np.float32), theirs.astype(np.float32))

    @pytest.mark.parametrize(("sample_rate", "window", "hop", "fft"), [(16000, 400, 160, 512), (8000, 200, 80, 256)])
    def test_equals_librosa(self, sample_rate: int, window: int, hop: int, fft: int) -> None:
        waveform = speech(20011)
        ours = one(FilterBank(sample_rate, deltas=0, normalization="none"), waveform)
        power = librosa_power(waveform, sample_rate, window, hop, fft)
        mel = librosa.feature.melspectrogram(S=power, sr=sample_rate, n_mels=40)
        assert ours.shape == (1 + (20011 - window) // hop, 41)
        np.testing.assert_allclose(np.exp(ours[:, :40]), np.maximum(mel.T, 1e-10), rtol=1e-4)
        frames = librosa.util.frame(waveform, frame_length=window, hop_length=hop)
        windowed = frames * librosa.filters.get_window("hann", window)[:, None]
        np.testing.assert_allclose(np.exp(ours[:, 40]), np.sum(windowed**2, axis=0), rtol=1e-4)

    @pytest.mark.parametrize("frames", [1, 3, 120, 700])
    def test_deltas_equal_librosa(self, frames: int) -> None:
        ours = one(FilterBank(normalization="none"), speech(400 + 160 * (frames - 1))).T
        static = ours[:41]
        for order in 1, 2:
            theirs = librosa.feature.delta(static.astype(np.float64), width=9, order=order, mode="nearest")
            np.testing.assert_allclose(ours[41 * order : 41 * (order + 1)], theirs, rtol=1e-4, atol=1e-5)

    def test_preemphasis_is_within_each_frame(self) -> None:
        waveform = speech(1000)
        frames = np.lib.stride_tricks.sliding_window_view(waveform, 400)[::160]
        emphasized = frames - 0.97 * np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
        energy = np.sum((emphasized * np.hanning(401)[:-1]) ** 2, axis=1)
        ours = one(FilterBank(preemphasis=0.97, deltas=0, normalization="none"), waveform)
        np.testing.assert_allclose(np.exp(ours[:, -1]), energy, rtol=1e-4)

    def test_dither_only_in_training(self) -> None:
        silence = np.zeros(1600, dtype=np.float32)
        extractor = FilterBank(dither=1e-2, normalization="none")
        assert np.all(one(extractor.eval(), silence)[:, :41] == np.float32(np.log(np.float32(1e-10))))
        # the window's sum of squares is 150
        energy = one(extractor.train(), silence)[:, 40]
        np.testing.assert_allclose(np.exp(energy), 150e-4, rtol=0.5)

    def test_shapes_and_attributes(self) -> None:
        graves = FilterBank()
        assert (graves.dim, graves.frame_seconds, graves.sample_rate) == (123, 0.01, 16000)
        assert FilterBank(num_mels=80, energy=False, deltas=0).dim == 80
        assert graves.output_lengths(torch.tensor([1, 400, 559, 560])).tolist() == [1, 1, 1, 2]
        assert FilterBank(11025, window_ms=20, hop_ms=10).frame_seconds == 110 / 11025

    def test_shorter_than_a_window(self) -> None:
        extractor = FilterBank(deltas=0, normalization="none")
        waveform = speech(300)
        np.testing.assert_array_equal(one(extractor, waveform), one(extractor, np.pad(waveform, (0, 100))))


class TestPrecision:
    def test_autocast_and_low_precision_models_change_nothing(self) -> None:
        extractor = fitted(MFCC())
        waveform = speech(16000)
        expected = one(extractor, waveform)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            np.testing.assert_array_equal(one(extractor, waveform), expected)
        np.testing.assert_array_equal(one(extractor.to(torch.bfloat16), waveform), expected)
        try:
            torch.set_float32_matmul_precision("medium")  # bfloat16 inside float32 products
            np.testing.assert_allclose(one(extractor, waveform), expected, rtol=1e-5, atol=1e-5)
        finally:
            torch.set_float32_matmul_precision("highest")

    def test_no_gradient_and_inputs_untouched(self) -> None:
        extractor = fitted(FilterBank())
        waveform = torch.from_numpy(speech(4000))[None].requires_grad_()
        before = waveform.detach().clone()
        features, _ = extractor(waveform, torch.tensor([4000]))
        assert not features.requires_grad
        assert torch.equal(waveform, before)

    def test_double_input(self) -> None:
        extractor = FilterBank(normalization="none")
        waveform = torch.from_numpy(speech(4000))[None]
        lengths = torch.tensor([4000])
        assert torch.equal(extractor(waveform.double(), lengths)[0], extractor(waveform, lengths)[0])
