"""Mel-frequency cepstral coefficients."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from asr.errors import InputError
from asr.features._blocks import Blocks, on_blocks
from asr.features.extractor import Extractor, matmul_safe
from asr.features.filterbank import FilterBank


class MFCC(Extractor):
    """Cepstra: the orthonormal DCT-II of the log-mel filter bank, by default 13 of 40 with Δ and ΔΔ.

    ``forward(waveforms (N, S) float, lengths (N,) in samples)`` → features (N, T, dim), lengths (N,). Equal
    to ``librosa.feature.mfcc(S=log_mel, dct_type=2, norm="ortho")`` with natural logarithms; coefficient 0 is
    kept. Framing, filters and the other arguments are those of :class:`~asr.features.FilterBank`.
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
        super().__init__(num_ceps, filterbank.frame_seconds, deltas, normalization, mean_fraction, scale)
        self.sample_rate = sample_rate
        self.filterbank = filterbank
        self.register_buffer("transform", dct_matrix(num_mels, num_ceps), persistent=False)

    @property
    def random(self) -> bool:
        return self.filterbank.random

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Number of frames (N,) of waveforms of ``lengths`` (N,) samples."""
        return self.filterbank.output_lengths(lengths)

    def static_features(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Cepstra (N, T, num_ceps) of waveforms (N, S)."""
        log_mel = self.filterbank.static_features(inputs, lengths)
        transform = matmul_safe(self.transform)
        cepstra = log_mel.new_empty(*log_mel.shape[:2], transform.shape[1])

        def transform_blocks(blocks: Blocks) -> None:
            for begin, end in blocks:
                cepstra[:, begin:end] = matmul_safe(log_mel[:, begin:end]) @ transform

        on_blocks(transform_blocks, log_mel)
        return cepstra

    def _check(self, inputs: Tensor, lengths: Tensor) -> None:
        self.filterbank._check(inputs, lengths)


def dct_matrix(num_mels: int, num_ceps: int) -> Tensor:
    """First ``num_ceps`` columns of the orthonormal DCT-II as (num_mels, num_ceps)."""
    angles = (torch.arange(num_mels, dtype=torch.float64)[:, None] + 0.5) * torch.arange(num_ceps) * math.pi / num_mels
    matrix = angles.cos() * math.sqrt(2 / num_mels)
    matrix[:, 0] /= math.sqrt(2)
    return matrix.float()
