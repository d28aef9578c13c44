"""MFCC against librosa's and scipy's."""

from __future__ import annotations

import librosa
import numpy as np
import scipy.fft
from waveforms import one, speech

from asr.features import MFCC, FilterBank


class TestMFCC:
    def test_equals_librosa(self) -> None:
        waveform = speech(16000)
        log_mel = one(FilterBank(energy=False, deltas=0, normalization="none"), waveform)
        ours = one(MFCC(normalization="none"), waveform)
        theirs = librosa.feature.mfcc(S=log_mel.T, n_mfcc=13, dct_type=2, norm="ortho").T
        assert ours.shape[1] == 39
        np.testing.assert_allclose(ours[:, :13], theirs, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(
            ours[:, :13], scipy.fft.dct(log_mel, type=2, norm="ortho")[:, :13], rtol=1e-4, atol=1e-4
        )
        delta = librosa.feature.delta(theirs.T, width=9, mode="nearest").T
        np.testing.assert_allclose(ours[:, 13:26], delta, rtol=1e-4, atol=1e-4)

    def test_all_cepstra_keep_the_spectrum(self) -> None:
        waveform = speech(3000)
        log_mel = one(FilterBank(num_mels=20, energy=False, deltas=0, normalization="none"), waveform)
        cepstra = one(MFCC(num_mels=20, num_ceps=20, deltas=0, normalization="none"), waveform)
        np.testing.assert_allclose(scipy.fft.idct(cepstra, norm="ortho"), log_mel, atol=1e-4)
