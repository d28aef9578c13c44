"""Mel-frequency cepstral coefficients."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from asr.errors import InputError
from asr.features._blocks import Blocks, map_blocks
from asr.features.extractor import WaveformExtractor, matmul_safe
from asr.features.filterbank import FilterBank


class MFCC(WaveformExtractor):
    """Mel-frequency cepstral coefficients: the orthonormal DCT-II of the log-mel filter bank, 13 of 40 with Δ and ΔΔ.

    ``forward(waveforms (N, S) float, lengths (N,) in samples)`` → features (N, T, dim), lengths (N,). Equal
    to ``librosa.feature.mfcc(S=log_mel, dct_type=2, norm="ortho")`` with natural logarithms; coefficient 0 is
    kept. Framing and filters are those of :class:`~asr.features.FilterBank`.

    Args:
        sample_rate: of the waveforms, in Hz.
        num_ceps: number of coefficients that are kept, 1 to ``num_mels``.
        num_mels: number of filters.
        deltas: number of time derivatives to append, 0 to 2.
        window_ms: length of a frame in milliseconds, rounded to samples.
        hop_ms: from one frame to the next in milliseconds, rounded to samples.
        low_hz: lower edge of the band that the filters cover, in Hz.
        high_hz: upper edge in Hz; None is half the sample rate.
        mel_scale: ``"slaney"`` or ``"htk"``.
        preemphasis: x[i] - preemphasis * x[i-1] within every frame; 0 is off.
        dither: standard deviation of Gaussian noise added to every frame, in training mode only; 0 is off.
        normalization: mode of :class:`~asr.features.FeatureNormalizer`.
        mean_fraction: see there.
        scale: see there.

    Raises:
        InputError: more coefficients than filters, or as :class:`~asr.features.FilterBank`.
    """

    transform: Tensor

    def __init__(
        self,
        sample_rate: int = 16000,
        num_ceps: int = 13,
        num_mels: int = 40,
        deltas: int = 2,
        window_ms: float = 25.0,
        hop_ms: float = 10.0,
        low_hz: float = 0.0,
        high_hz: float | None = None,
        mel_scale: str = "slaney",
        preemphasis: float = 0.0,
        dither: float = 0.0,
        normalization: str = "global",
        mean_fraction: float = 1.0,
        scale: bool = True,
    ) -> None:
        if not 1 <= num_ceps <= num_mels:
            raise InputError(f"num_ceps={num_ceps}: {num_mels} mels have 1 to {num_mels} cepstra")
        filterbank = FilterBank(
            sample_rate,
            num_mels,
            energy=False,
            deltas=0,
            window_ms=window_ms,
            hop_ms=hop_ms,
            low_hz=low_hz,
            high_hz=high_hz,
            mel_scale=mel_scale,
            preemphasis=preemphasis,
            dither=dither,
            normalization="none",
        )
        super().__init__(
            num_ceps,
            sample_rate,
            window_ms,
            hop_ms,
            dither,
            deltas,
            normalization,
            mean_fraction,
            scale,
        )
        self.filterbank = filterbank
        self.register_buffer("transform", dct_matrix(num_mels, num_ceps), persistent=False)

    def static_features(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Return cepstra (N, T, num_ceps) of waveforms ``inputs`` (N, S) of ``lengths`` (N,) samples."""
        log_mel = self.filterbank.static_features(inputs, lengths)
        transform = matmul_safe(self.transform)
        cepstra = log_mel.new_empty(*log_mel.shape[:2], transform.shape[1])

        def transform_blocks(blocks: Blocks) -> None:
            for begin, end in blocks:
                cepstra[:, begin:end] = matmul_safe(log_mel[:, begin:end]) @ transform

        map_blocks(transform_blocks, log_mel)
        return cepstra


def dct_matrix(num_mels: int, num_ceps: int) -> Tensor:
    """Return the first ``num_ceps`` columns of the orthonormal DCT-II, ``(num_mels, num_ceps)`` float32."""
    angles = (torch.arange(num_mels, dtype=torch.float64)[:, None] + 0.5) * torch.arange(num_ceps) * math.pi / num_mels
    matrix = angles.cos() * math.sqrt(2 / num_mels)
    matrix[:, 0] /= math.sqrt(2)  # the constant column has twice the others' squared norm
    return matrix.float()
