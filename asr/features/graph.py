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
from asr.features.kaldi import KaldiFilterBank, KaldiMFCC, compliance
from asr.features.mfcc import MFCC
from asr.features.noise_reduction import reduce_noise
from asr.features.precomputed import Precomputed
from asr.utils.masks import length_mask, take_frames


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
    context = take_frames(static, torch.minimum(time, frames[:, None] - 1))  # (N, REACH + T + REACH, D)
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
        mirrored_from: first sample of frame 0, where frames reach beyond a waveform, which is mirrored at its ends;
            None: frames begin with it, and zeros follow it.
    """

    basis: Tensor
    filters: Tensor
    transform: Tensor | None

    def __init__(
        self,
        basis: np.ndarray,
        filters: np.ndarray,
        hop: int,
        floor: float,
        transform: Tensor | None = None,
        mirrored_from: int | None = None,
    ) -> None:
        super().__init__()
        used = filters.any(axis=0)
        self.register_buffer("basis", torch.tensor(basis[used], dtype=torch.float32)[:, None], persistent=False)
        self.register_buffer("filters", torch.tensor(filters[:, used].T, dtype=torch.float32), persistent=False)
        self.register_buffer("transform", transform, persistent=False)
        self.hop = hop
        self.floor = floor
        self.mirrored_from = mirrored_from

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Compute features; see the class."""
        samples = self._mirrored(inputs, lengths) if self.mirrored_from is not None else self._padded(inputs, lengths)
        spectrum = F.conv1d(samples[:, None], self.basis, stride=self.hop)  # (N, K, T)
        logs = (spectrum.square().transpose(1, 2) @ self.filters).clamp(min=self.floor).log()
        return logs if self.transform is None else logs @ self.transform

    def _padded(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Return waveforms with zeros after them, as an utterance may be shorter than a window."""
        inputs = inputs.masked_fill(~length_mask(lengths, inputs.shape[1]), 0)
        return F.pad(inputs, (0, self.basis.shape[2]))

    def _mirrored(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Return waveforms from `mirrored_from` on, for all frames, as `asr.features.kaldi` extends them."""
        assert self.mirrored_from is not None
        size = inputs.shape[1] + self.hop + self.basis.shape[2]
        place = torch.arange(size, device=inputs.device) + self.mirrored_from
        place = place % (2 * lengths[:, None])
        return inputs.gather(1, torch.minimum(place, 2 * lengths[:, None] - 1 - place))


class _Denoised(nn.Module):
    """Features of a filter bank, with less noise in its bands."""

    def __init__(self, extractor: FilterBank) -> None:
        super().__init__()
        self.static = _filterbank(extractor)
        self.output_lengths = extractor.output_lengths
        self.bands = extractor.normalization.num_bands

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        static = self.static(inputs, lengths)
        bands = reduce_noise(static[:, :, : self.bands], self.output_lengths(lengths))
        return torch.cat([bands, static[:, :, self.bands :]], 2)


class _Unchanged(nn.Module):
    """Features that another program has computed."""

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        return inputs


def _static_features(extractor: Extractor) -> nn.Module:
    """Return the graph of an extractor's static features."""
    if type(extractor) is Precomputed:
        return _Unchanged()
    if type(extractor) is FilterBank:
        return _Denoised(extractor) if extractor.denoise else _filterbank(extractor)
    if type(extractor) is MFCC:
        return _filterbank(extractor.filterbank, extractor.transform)
    if isinstance(extractor, KaldiFilterBank | KaldiMFCC) and not extractor.options["use_energy"]:
        return _kaldi(extractor)
    energy = " with energy" if isinstance(extractor, KaldiFilterBank | KaldiMFCC) else ""
    raise InputError(f"features of the type {type(extractor).__name__}{energy} cannot be exported")


def _filterbank(extractor: FilterBank, transform: Tensor | None = None) -> SpectralFeatures:
    """Return the graph of a filter bank."""
    size = extractor.window_samples
    frame = np.diag(extractor.window.double().numpy()) @ preemphasis_matrix(size, extractor.preemphasis)
    basis = fourier_matrix(extractor.fft_length, size) @ frame
    return SpectralFeatures(basis, extractor.filters.numpy(), extractor.hop_samples, LOG_FLOOR, transform)


def _kaldi(extractor: KaldiFilterBank | KaldiMFCC) -> SpectralFeatures:
    """Return the graph of Kaldi's features, without a column of the energy."""
    functions, options, size = compliance(), extractor.options, extractor.window_samples
    fft_length = 1 << (size - 1).bit_length()
    # _get_window of torchaudio.compliance.kaldi, in the order of its steps
    frame = np.eye(size) * extractor.gain
    if options["remove_dc_offset"]:
        frame = frame - frame.mean(axis=0)
    frame = preemphasis_matrix(size, options["preemphasis_coefficient"]) @ frame
    window = functions._feature_window_function(options["window_type"], size, 0.42, torch.device("cpu"), torch.float64)
    basis = fourier_matrix(fft_length, size) @ (window.numpy()[:, None] * frame)
    band = options["sample_frequency"], options["low_freq"], options["high_freq"]
    filters, _ = functions.get_mel_banks(options["num_mel_bins"], fft_length, *band, 100.0, -500.0, 1.0)
    filters = np.pad(filters.numpy(), ((0, 0), (0, 1))).repeat(2, axis=1)  # of real and imaginary parts
    transform = None
    if isinstance(extractor, KaldiMFCC):
        transform = functions._get_dct_matrix(options["num_ceps"], options["num_mel_bins"])
        if options["cepstral_lifter"]:
            transform = transform * functions._get_lifter_coeffs(options["num_ceps"], options["cepstral_lifter"])
    first = None if extractor.snip_edges else extractor.first_sample
    return SpectralFeatures(basis, filters, extractor.hop_samples, float(functions.EPSILON), transform, first)


def preemphasis_matrix(size: int, factor: float) -> np.ndarray:
    """Return the matrix (size, size) of x[i] - factor * x[i-1], where x[-1] = x[0]."""
    matrix = np.eye(size) - factor * np.eye(size, k=-1)
    matrix[0, 0] -= factor
    return matrix


def fourier_matrix(fft_length: int, size: int) -> np.ndarray:
    """Return the matrix (fft_length + 2, size) of the half spectrum: real and imaginary part of each bin in turn."""
    angles = np.outer(np.arange(fft_length // 2 + 1), np.arange(size)) * (2 * math.pi / fft_length)
    return np.stack([np.cos(angles), -np.sin(angles)], axis=1).reshape(fft_length + 2, size)
