"""Augment features in training: masks (SpecAugment), tempo and frequency warping."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from asr.errors import InputError

KNEE = 0.8  # of the frequency warp, as a fraction of the bands


class SpecAugment(nn.Module):
    """Mask random times and frequencies (Park et al. 2019, arXiv 1904.08779), others in each utterance.

    ``forward(features (N, T, F), lengths (N,))`` → (features, lengths) of the same shapes. Masked values are
    0, the mean of normalized features. The identity in evaluation mode. Random numbers are torch's global ones.

    Args:
        time_masks: number of time masks per utterance.
        time_width: largest width of a time mask, in frames (drawn uniformly from 0 to it, both included).
        time_fraction: largest width of a time mask as a fraction of the utterance, 0 to 1.
        frequency_masks: number of frequency masks per utterance.
        frequency_width: largest width of a frequency mask, in bands.
        groups: number of equally wide groups of columns: 3 for static | Δ | ΔΔ. A frequency mask covers the
            same bands in each, so that the derivatives do not give away what the mask hides.

    Raises:
        InputError: a number out of its range, here or (``groups`` that do not divide the columns) in ``forward``.
    """

    changes_time = False

    def __init__(
        self,
        time_masks: int = 2,
        time_width: int = 50,
        time_fraction: float = 0.2,
        frequency_masks: int = 2,
        frequency_width: int = 10,
        groups: int = 1,
    ) -> None:
        super().__init__()
        if min(time_masks, time_width, frequency_masks, frequency_width) < 0 or groups < 1:
            raise InputError("SpecAugment: counts and widths of masks must not be negative, and groups at least 1")
        if not 0 <= time_fraction <= 1:
            raise InputError(f"time_fraction={time_fraction}: use a number from 0 to 1")
        self.time_masks = time_masks
        self.time_width = time_width
        self.time_fraction = time_fraction
        self.frequency_masks = frequency_masks
        self.frequency_width = frequency_width
        self.groups = groups

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Mask ``features`` (N, T, F) within ``lengths`` (N,), which are returned unchanged; see the class."""
        if not self.training:
            return features, lengths
        _, total, dim = features.shape
        if dim % self.groups:
            raise InputError(f"SpecAugment: {dim} columns do not make {self.groups} equal groups")
        own = lengths.to(features.device)
        widest = (own * self.time_fraction).long().clamp(max=self.time_width)
        time = random_spans(own, widest, self.time_masks, total)  # (N, T)
        bands = torch.full_like(own, dim // self.groups)
        widest = bands.clamp(max=self.frequency_width)
        frequency = random_spans(bands, widest, self.frequency_masks, dim // self.groups)
        frequency = frequency.repeat(1, self.groups)  # (N, F)
        return features.masked_fill(time[:, :, None] | frequency[:, None, :], 0), lengths


def random_spans(lengths: Tensor, widest: Tensor, count: int, total: int) -> Tensor:
    """Draw spans at random.

    Args:
        lengths: a row's spans lie within its first ``lengths`` (N,) positions.
        widest: largest length of a row's spans, ``(N,)``; drawn uniformly from 0 to it.
        count: number of spans per row.
        total: number of positions.

    Returns:
        Boolean ``(N, total)``, True in the union of a row's spans.
    """
    draws = torch.rand(2, len(lengths), count, device=lengths.device)
    widths = (draws[0] * (widest + 1)[:, None]).long()
    starts = (draws[1] * (lengths[:, None] - widths + 1)).long()
    offsets = torch.arange(total, device=lengths.device) - starts[:, :, None]  # (N, count, total)
    return ((offsets >= 0) & (offsets < widths[:, :, None])).any(dim=1)


class SpectrogramWarp(nn.Module):
    """Change tempo and vocal-tract length at random, by linear interpolation of log-mel features.

    ``forward(features (N, T, F), lengths (N,))`` → (features (N, T', F), lengths (N,)). Each utterance has factors of
    its own. The tempo factor, uniform in 1 ± ``tempo``, divides the length, which never falls below 1 frame. The
    frequency factor, uniform in 1 ± ``frequency``, moves what is at band f * factor to band f, over the lower four
    fifths of the bands; above them the slope changes so that the top band stays (as in the VTLN of HTK and Kaldi). The
    identity in evaluation mode. Random numbers are torch's global ones. For features without Δ: derivatives do not
    survive a tempo change.

    Args:
        tempo: largest relative change of tempo, 0 ≤ tempo < 1.
        frequency: largest relative change of frequency, 0 ≤ frequency ≤ 0.25.
        num_mels: number of columns, the first ones, that the frequency warp applies to; None: all.

    Raises:
        InputError: a number out of its range.
    """

    changes_time = True

    def __init__(self, tempo: float = 0.1, frequency: float = 0.1, num_mels: int | None = None) -> None:
        super().__init__()
        if not 0 <= tempo < 1 or not 0 <= frequency <= 0.25:
            raise InputError(f"tempo={tempo}, frequency={frequency}: use 0 to below 1, and 0 to 0.25")
        if num_mels is not None and num_mels < 1:
            raise InputError(f"num_mels={num_mels}: use at least 1, or None for all columns")
        self.tempo = tempo
        self.frequency = frequency
        self.num_mels = num_mels

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Warp ``features`` (N, T, F) of ``lengths`` (N,), and return new lengths; frames beyond them are zero."""
        if not self.training:
            return features, lengths
        own = lengths.to(features.device)
        draws = 2 * torch.rand(2, len(own), device=features.device) - 1
        features, own = self._warp_time(features, own, 1 + self.tempo * draws[0])
        if self.frequency:
            bands = min(self.num_mels or features.shape[2], features.shape[2])
            warped = warp_frequency(features[:, :, :bands], 1 + self.frequency * draws[1])
            features = torch.cat([warped, features[:, :, bands:]], dim=2)
        return features, own.to(lengths.device)

    @staticmethod
    def _warp_time(features: Tensor, lengths: Tensor, factors: Tensor) -> tuple[Tensor, Tensor]:
        """Divide each utterance's length by its factor (N,)."""
        warped = (lengths / factors).round().long().clamp(min=1)
        times = torch.arange(int(warped.max()), device=features.device)
        step = (lengths - 1) / (warped - 1).clamp(min=1)  # first frame to first, last to last
        position = (times * step[:, None]).clamp(max=(lengths - 1)[:, None])
        result = interpolate(features, position[:, :, None], dim=1)
        return result.masked_fill((times >= warped[:, None])[:, :, None], 0), warped


def warp_frequency(features: Tensor, factors: Tensor) -> Tensor:
    """Move each utterance's bands by its factor: what is at band f * factor to band f.

    Over the lower four fifths of the bands; above them the slope changes so that the top band stays (as in the VTLN of
    HTK and Kaldi).

    Args:
        features: (N, T, F), all columns bands in the order of frequency.
        factors: (N,) above 0, or (1,) for all.

    Returns:
        Features of the same shape.
    """
    bands = features.shape[2]
    if bands == 1:
        return features
    band = torch.linspace(0, 1, bands, device=features.device)  # 0 is the lowest, 1 the highest
    # position = factor * band up to the knee; above it a line from there to (1, 1)
    knee = (KNEE / factors.clamp(min=1))[:, None]
    factor = factors[:, None]
    above = factor * knee + (band - knee) * (1 - factor * knee) / (1 - knee)
    position = torch.where(band < knee, factor * band, above) * (bands - 1)  # (N, bands)
    return interpolate(features, position[:, None, :], dim=2)


def interpolate(values: Tensor, position: Tensor, dim: int) -> Tensor:
    """Interpolate linearly along one dimension.

    Args:
        values: ``(N, T, F)``.
        position: fractional indices along ``dim``, clamped to its range; broadcasts to the result's shape.
        dim: 1 (time) or 2 (frequency).

    Returns:
        As ``values``, with the size of ``position`` along ``dim``.
    """
    shape = list(values.shape)
    shape[dim] = position.shape[dim]
    position = position.clamp(0, values.shape[dim] - 1)
    below = position.floor()
    weight = (position - below).to(values.dtype)
    index = below.long()
    low = values.gather(dim, index.expand(shape))
    high = values.gather(dim, (index + 1).clamp(max=values.shape[dim] - 1).expand(shape))
    return torch.lerp(low, high, weight.expand(shape))
