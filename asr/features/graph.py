"""Feature extractors as graphs of tensor operations without Python's control flow, for export to other runtimes.

The extractors of the other modules process each utterance by itself, in blocks and on several threads. Here a padded
batch is one tensor, and frames, their window and their Fourier transform are one convolution. Values agree with those
of the extractors up to rounding; what reads them is exported together with them and compared as a whole.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asr.errors import InputError
from asr.features.cmvn import FeatureNormalizer, mean_and_std, safe_std
from asr.features.extractor import DERIVATIVES, REACH, Extractor, filter_derivative
from asr.features.filterbank import LOG_FLOOR, FilterBank
from asr.features.mfcc import MFCC
from asr.features.precomputed import Precomputed
from asr.utils.masks import length_mask


class FeatureGraph(nn.Module):
    """The features of an extractor in evaluation mode: static features, derivatives, normalization.

    ``forward(inputs, lengths)`` takes waveforms (N, S), or features (N, T, D) for `Precomputed`, padded with
    any values, and ``lengths`` (N,) in samples or frames. It returns features (N, T, dim), zero beyond each utterance's
    own frames, and their number (N,). T may be larger than the longest utterance's number.

    Args:
        extractor: with its statistics fitted.

    Raises:
        InputError: there is no graph for extractors of this type.
    """

    def __init__(self, extractor: Extractor) -> None:
        super().__init__()
        self.extractor = extractor
        self.static = _static_features(extractor)

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Compute features; see the class."""
        frames = self.extractor.output_lengths(lengths)
        features = append_derivatives(self.static(inputs, lengths), frames, self.extractor.deltas)
        beyond = ~length_mask(frames, features.shape[1])[:, :, None]
        features = features.masked_fill(beyond, 0)
        return normalize(self.extractor.normalization, features, frames).masked_fill(beyond, 0), frames


def normalize(normalizer: FeatureNormalizer, features: Tensor, frames: Tensor) -> Tensor:
    """Return normalized features (N, T, dim) of utterances of ``frames`` (N,) frames."""
    if normalizer.mode == "none":
        return features
    if normalizer.mode == "global":
        return (features - normalizer.mean) / safe_std(normalizer.std)
    mean, std = mean_and_std(*normalizer.sums(features, frames))
    features = features.clone()
    normalizer.normalize_by(features, mean, std)
    return features


def append_derivatives(static: Tensor, frames: Tensor, order: int) -> Tensor:
    """Return [static | Δ | ΔΔ], (N, T, D * (1 + order)), as `asr.features.extractor.append_deltas` does."""
    if not order:
        return static
    total = static.shape[1]
    time = torch.arange(-REACH, total + REACH, device=static.device).clamp(min=0)
    index = torch.minimum(time, frames[:, None] - 1)[:, :, None].expand(-1, -1, static.shape[2])
    context = static.gather(1, index)  # (N, REACH + T + REACH, D)
    derivatives = [filter_derivative(context, weights, sign) for weights, sign in DERIVATIVES[:order]]
    return torch.cat([static, *derivatives], dim=2)


class SpectralFeatures(nn.Module):
    """Logarithms of filtered power spectra of frames, optionally transformed linearly (cepstra).

    What happens to a frame before its power spectrum is taken (window, preemphasis, Fourier transform) is linear: one
    matrix, applied to all frames by a convolution.

    Maps waveforms (N, S), padded with any values, and lengths (N,) to (N, T, D).

    Args:
        basis: maps a frame to real and imaginary parts, ``(K, window)``.
        filters: of their squares, ``(B, K)``.
        hop: samples from one frame to the next.
        floor: lower limit of a filter's output.
        transform: of the logarithms, ``(B, D)``; None: none.
    """

    basis: Tensor
    filters: Tensor
    transform: Tensor | None

    def __init__(
        self, basis: np.ndarray, filters: np.ndarray, hop: int, floor: float, transform: Tensor | None = None
    ) -> None:
        super().__init__()
        used = filters.any(axis=0)
        self.register_buffer("basis", torch.tensor(basis[used], dtype=torch.float32)[:, None], persistent=False)
        self.register_buffer("filters", torch.tensor(filters[:, used].T, dtype=torch.float32), persistent=False)
        self.register_buffer("transform", transform, persistent=False)
        self.hop = hop
        self.floor = floor

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Compute features; see the class."""
        inputs = inputs.masked_fill(~length_mask(lengths, inputs.shape[1]), 0)
        padded = F.pad(inputs, (0, self.basis.shape[2]))  # an utterance may be shorter than a window
        spectrum = F.conv1d(padded[:, None], self.basis, stride=self.hop)  # (N, K, T)
        logs = (spectrum.square().transpose(1, 2) @ self.filters).clamp(min=self.floor).log()
        return logs if self.transform is None else logs @ self.transform


class _Unchanged(nn.Module):
    """Features that another program has computed."""

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        return inputs


def _static_features(extractor: Extractor) -> nn.Module:
    """Return the graph of an extractor's static features."""
    if type(extractor) is Precomputed:
        return _Unchanged()
    if type(extractor) is FilterBank:
        return _filterbank(extractor)
    if type(extractor) is MFCC:
        return _filterbank(extractor.filterbank, extractor.transform)
    raise InputError(
        f"features of the type {type(extractor).__name__} have no exportable graph; "
        "FilterBank, MFCC and Precomputed have"
    )


def _filterbank(extractor: FilterBank, transform: Tensor | None = None) -> SpectralFeatures:
    """Return the graph of a filter bank."""
    size = extractor.window_samples
    frame = np.diag(extractor.window.double().numpy()) @ preemphasis_matrix(size, extractor.preemphasis)
    basis = fourier_matrix(extractor.fft_length, size) @ frame
    return SpectralFeatures(basis, extractor.filters.numpy(), extractor.hop_samples, LOG_FLOOR, transform)


def preemphasis_matrix(size: int, factor: float) -> np.ndarray:
    """Return the matrix (size, size) of x[i] - factor * x[i-1], where x[-1] = x[0]."""
    matrix = np.eye(size) - factor * np.eye(size, k=-1)
    matrix[0, 0] -= factor
    return matrix


def fourier_matrix(fft_length: int, size: int) -> np.ndarray:
    """Return the matrix (fft_length + 2, size) of the half spectrum: real and imaginary part of each bin in turn."""
    angles = np.outer(np.arange(fft_length // 2 + 1), np.arange(size)) * (2 * math.pi / fft_length)
    return np.stack([np.cos(angles), -np.sin(angles)], axis=1).reshape(fft_length + 2, size)
