"""Log-mel filter bank with log energy and time derivatives."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from asr.errors import InputError
from asr.features._blocks import Blocks, block_frames, map_blocks, thread_local_buffer
from asr.features.cmvn import Active
from asr.features.extractor import WaveformExtractor, matmul_safe
from asr.features.noise_reduction import reduce_noise
from asr.utils.masks import length_mask
from asr.utils.options import check_choice

# About 30 dB below the power of 16-bit rounding noise in a narrow filter; digital silence becomes log(1e-10)
# = -23.
LOG_FLOOR = 1e-10

# Neighboring filters that one matrix product takes together: the wider the group, the more of its bins are zeros.
GROUP = 14


class FilterBank(WaveformExtractor):
    """Log-mel filter bank, by default with log energy, Δ and ΔΔ: the 123 features of Graves et al. 2013.

    ``forward(waveforms (N, S) float, lengths (N,) in samples)`` → features (N, T, dim), lengths (N,). Frame t
    covers the samples from t * hop to t * hop + window: T = 1 + (S - window) // hop without padding, but at
    least 1 (a shorter utterance is padded with zeros to one window). Each frame is windowed (periodic Hann),
    its power spectrum taken over the next power of two samples, summed by mel filters, floored at 1e-10, and
    its natural logarithm taken. The energy, the last static column, is the log of the windowed frame's sum of
    squares. Columns are [static | Δ | ΔΔ].

    Args:
        sample_rate: of the waveforms, in Hz.
        num_mels: number of filters.
        energy: whether to append the log energy.
        deltas: number of time derivatives to append, 0 to 2.
        window_ms: length of a frame in milliseconds, rounded to samples.
        hop_ms: from one frame to the next in milliseconds, rounded to samples.
        low_hz: lower edge of the band that the filters cover, in Hz.
        high_hz: upper edge in Hz; None is half the sample rate.
        mel_scale: ``"slaney"`` or ``"htk"``, as ``librosa.filters.mel(htk=…)``; both with unit-area filters.
        preemphasis: x[i] - preemphasis * x[i-1] within every frame, before the window (HTK, Kaldi); 0 is off.
        dither: standard deviation of Gaussian noise added to every frame, in training mode only; 0 is off.
        normalization: mode of :class:`~asr.features.FeatureNormalizer`.
        mean_fraction: see there.
        scale: see there.
        remove_level: whether the level of an utterance is removed even where ``mean_fraction`` leaves part of its mean.
        active: only frames within this many nats of the loudest, or of the least and the most that are given those
            above the noise, count for mean and variance; None: all; see there.
        floor: nats below the mean to which weaker band energies are raised; None: no limit; see there.
        denoise: whether steady noise is taken out of the filters' output in noisy utterances (`reduce_noise`).

    Raises:
        InputError: a window or hop that is too short, a band or filters that are not possible (`mel_filters`), or an
            option out of its range.
    """

    window: Tensor
    filters: Tensor

    def __init__(
        self,
        sample_rate: int = 16000,
        num_mels: int = 40,
        energy: bool = True,
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
        remove_level: bool = False,
        active: Active = None,
        floor: float | None = None,
        denoise: bool = False,
    ) -> None:
        columns = num_mels + energy
        level = columns if remove_level else 0
        super().__init__(
            columns,
            sample_rate,
            window_ms,
            hop_ms,
            dither,
            deltas,
            normalization,
            mean_fraction,
            scale,
            level,
            active=active,
            floor=floor,
            num_bands=num_mels,
        )
        self.denoise = denoise
        self.fft_length = 1 << (self.window_samples - 1).bit_length()
        self.preemphasis = preemphasis
        filters = mel_filters(sample_rate, self.fft_length, num_mels, low_hz, high_hz, mel_scale)
        if energy:
            # Parseval: a frame's sum of squares from its half spectrum, whose inner bins count twice.
            parseval = np.full((1, filters.shape[1]), 2 / self.fft_length)
            parseval[:, [0, -1]] /= 2
            filters = np.concatenate([filters, parseval])
        self.register_buffer("window", torch.hann_window(self.window_samples), persistent=False)
        filters = filters.repeat(2, axis=1)  # (D, fft_length + 2), for squared real and imaginary parts
        self.register_buffer("filters", torch.tensor(filters, dtype=torch.float32), persistent=False)
        # a filter is zero almost everywhere: products are taken group by group, over the group's own bins only
        self.bands = [band(filters, begin, min(begin + GROUP, num_mels)) for begin in range(0, num_mels, GROUP)]
        if energy:
            self.bands.append(band(filters, num_mels, num_mels + 1))

    def static_features(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Return log-mel (and energy) columns (N, T, D) of waveforms ``inputs`` (N, S) of ``lengths`` (N,) samples."""
        if inputs.shape[1] < self.window_samples:
            inputs = torch.nn.functional.pad(inputs, (0, self.window_samples - inputs.shape[1]))
        if len(inputs) > 1:  # only an utterance shorter than a window would see what lies beyond its end
            inputs = inputs.masked_fill(~length_mask(lengths, inputs.shape[1]), 0)
        frames = inputs.unfold(1, self.window_samples, self.hop_samples)  # (N, T, window), a view
        features = inputs.new_empty(*frames.shape[:2], len(self.filters))
        filters = matmul_safe(self.filters)

        def analyze(blocks: Blocks) -> None:
            shape = (len(frames), block_frames(frames), self.fft_length)
            padded = thread_local_buffer(frames, shape, self.window_samples)
            for begin, end in blocks:
                power = matmul_safe(self._power(frames[:, begin:end], padded)).mT  # (N, fft_length + 2, T')
                energies = features[:, begin:end]
                for columns, bins in self.bands:
                    energies[:, :, columns] = (filters[columns, bins] @ power[:, bins]).mT
                energies.clamp_(min=LOG_FLOOR).log_()

        map_blocks(analyze, frames)
        if self.denoise:
            bands = features[:, :, : self.normalization.num_bands]
            bands.copy_(reduce_noise(bands, self.output_lengths(lengths)))
        return features

    def _power(self, frames: Tensor, padded: Tensor) -> Tensor:
        """Return squared real and imaginary parts, side by side, of the spectra of ``frames`` (N, T, window).

        Shape (N, T, fft_length + 2); adding the two is left to the filters, where it costs less than here.
        ``padded`` (N, at least T, fft_length) is a buffer that is zero beyond the window.
        """
        if self.training and self.dither:
            frames = frames + self.dither * torch.randn_like(frames)
        if self.preemphasis:
            # within the frame: the first sample stands for its missing predecessor, as in HTK and Kaldi
            frames = frames - self.preemphasis * torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
        padded = padded[:, : frames.shape[1]]
        torch.mul(frames, self.window, out=padded[:, :, : self.window_samples])
        return torch.view_as_real(torch.fft.rfft(padded)).flatten(2).square_()


def band(filters: np.ndarray, begin: int, end: int) -> tuple[slice, slice]:
    """Return rows ``begin`` to ``end`` of ``filters`` (D, bins), and the bins from their first to their last weight."""
    bins = np.flatnonzero(filters[begin:end].any(axis=0))
    return slice(begin, end), slice(int(bins[0]), int(bins[-1]) + 1)


def mel_filters(
    sample_rate: int,
    fft_length: int,
    num_mels: int,
    low_hz: float = 0.0,
    high_hz: float | None = None,
    mel_scale: str = "slaney",
) -> np.ndarray:
    """Compute triangular filters of unit area, the same as those of ``librosa.filters.mel``.

    Rounded to float32 they are the same bit for bit, which the tests check. librosa's own function is not called: every
    command that opens a model would import numba and scipy with it, and where a filter holds no FFT bin it only warns.

    Args:
        sample_rate: in Hz.
        fft_length: number of samples of the Fourier transform.
        num_mels: number of filters.
        low_hz: lower edge of the lowest filter, in Hz.
        high_hz: upper edge of the highest filter, in Hz; None is half the sample rate.
        mel_scale: ``"slaney"`` or ``"htk"``.

    Returns:
        Weights ``(num_mels, fft_length // 2 + 1)`` float64 of a power spectrum's bins.

    Raises:
        InputError: a band outside 0 to half the sample rate, an unknown scale, or filters so narrow that one holds no
            FFT bin.
    """
    high = sample_rate / 2 if high_hz is None else high_hz
    if not 0 <= low_hz < high <= sample_rate / 2:
        raise InputError(
            f"low_hz={low_hz}, high_hz={high_hz}: at {sample_rate} Hz the band must lie within "
            f"0 to {sample_rate / 2} Hz"
        )
    check_choice("mel_scale", mel_scale, SCALES)
    if not 1 <= num_mels <= fft_length // 2 + 1:
        raise InputError(f"num_mels={num_mels}: use 1 to {fft_length // 2 + 1}, the number of FFT bins")
    to_mel, to_hz = SCALES[mel_scale]
    # filter m rises from corner m to corner m + 1 and falls to corner m + 2
    corners = to_hz(np.linspace(to_mel(np.array(low_hz)), to_mel(np.array(high)), num_mels + 2))
    bins = np.linspace(0, sample_rate / 2, fft_length // 2 + 1)
    widths = np.diff(corners)[:, None]
    rising = (bins - corners[:-2, None]) / widths[:-1]
    falling = (corners[2:, None] - bins) / widths[1:]
    filters = np.maximum(0, np.minimum(rising, falling))
    if not filters.any(axis=1).all():
        empty = int(np.argmin(filters.any(axis=1)))
        raise InputError(
            f"mel filter {empty} of {num_mels} lies between two FFT bins, {sample_rate / fft_length:.1f} Hz "
            "apart: use fewer mels, a longer window or a wider band"
        )
    return filters * (2 / (corners[2:] - corners[:-2]))[:, None]


def _htk_mel(hz: np.ndarray) -> np.ndarray:
    return 2595 * np.log10(1 + hz / 700)


def _htk_hz(mel: np.ndarray) -> np.ndarray:
    return 700 * (10 ** (mel / 2595) - 1)


# Slaney's Auditory Toolbox: linear to 1 kHz (15 mels), then 27 mels for every factor of 6.4.
def _slaney_mel(hz: np.ndarray) -> np.ndarray:
    return np.where(hz < 1000, hz * 3 / 200, 15 + np.log(np.maximum(hz, 1000) / 1000) * 27 / math.log(6.4))


def _slaney_hz(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * math.log(6.4) / 27))


SCALES = {"slaney": (_slaney_mel, _slaney_hz), "htk": (_htk_mel, _htk_hz)}
