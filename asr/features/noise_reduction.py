"""Reduce steady noise in the energies of mel bands, by a Wiener filter with a running estimate of the noise."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from asr.utils.masks import length_mask

# The noise of a band is NOISE_QUANTILE of the mean energies of CHUNK frames, in windows of WINDOW chunks (3 s at 10 ms
# a frame), one every HOP chunks. NOISE_BIAS is the mean of white noise over that quantile.
CHUNK = 8
WINDOW = 37
HOP = 9
NOISE_QUANTILE = 0.2
NOISE_BIAS = 1.25
SMOOTHING = 3  # frames and bands over which energies are averaged before they are compared with the noise
MIN_GAIN = 0.1  # of an energy: a lower one makes the fluctuation of the gain audible


def reduce_noise(log_energies: Tensor, frames: Tensor) -> Tensor:
    """Reduce steady noise in the logarithmic band energies of utterances.

    The energy of a band is multiplied by the square of a Wiener gain ξ / (1 + ξ), where ξ is the ratio of speech to
    noise: the mean energy of the frames and bands around over that of the noise, less 1 (Boll 1979; Loizou 2013,
    Speech Enhancement, ch. 6).

    Args:
        log_energies: natural logarithms, ``(N, T, B)``, of any value beyond an utterance's own frames.
        frames: of each utterance, at least 1, ``(N,)``.

    Returns:
        ``(N, T, B)``: less than ``log_energies`` by 0 to 10 dB; of any value beyond an utterance's own frames.
    """
    inside = length_mask(frames, log_energies.shape[1])[:, :, None]
    energies = log_energies.exp().masked_fill(~inside, 0)
    noise = noise_energies(energies, frames)
    # averages over the frames and bands that there are: zeros outside count in neither of the two pools
    around = _pool(energies, SMOOTHING) / _pool(inside.expand_as(energies).to(energies), SMOOTHING).clamp_(min=1e-6)
    noise_around = _pool(noise, 1) / _pool(torch.ones_like(noise[:1, :1]), 1)
    ratio = (around / noise_around - 1).clamp_(min=0)
    gain = (ratio / (1 + ratio)).square_().clamp_(min=MIN_GAIN)
    return log_energies + gain.log_()


def noise_energies(energies: Tensor, frames: Tensor) -> Tensor:
    """Estimate the energies of steady noise, (N, T, B), in band energies (N, T, B), zero beyond ``frames`` (N,)."""
    total, bands = energies.shape[1:]
    device = energies.device
    padded = F.pad(energies, (0, 0, 0, -total % CHUNK))
    means = padded.unflatten(1, (-1, CHUNK)).sum(2) / frames.clamp(max=CHUNK)[:, None, None]
    chunks = (frames // CHUNK).clamp(min=1)  # an incomplete last one is left out
    last = (chunks - WINDOW).clamp(min=0)[:, None]  # the first chunk of the last window

    number = (means.shape[1] + HOP - 1) // HOP + 1  # windows; those beyond the last one are the last one again
    starts = torch.minimum(torch.arange(number, device=device) * HOP, last)
    index = (starts[:, :, None] + torch.arange(WINDOW, device=device)).flatten(1)  # (N, number * WINDOW)
    windows = _rows(means, index.clamp(max=means.shape[1] - 1))
    windows = windows.masked_fill((index >= chunks[:, None])[:, :, None], torch.inf)
    ordered = windows.unflatten(1, (number, WINDOW)).sort(2).values
    rank = (NOISE_QUANTILE * (chunks.clamp(max=WINDOW) - 1)).long()[:, None, None, None]
    noise = ordered.gather(2, rank.expand(-1, number, 1, bands))[:, :, 0] * NOISE_BIAS

    # between the centers of two windows the logarithm is interpolated
    center = (torch.arange(total, device=device) / CHUNK - WINDOW / 2) / HOP
    place = torch.minimum(center.clamp(min=0), last / HOP)  # (N, T), in windows
    before = place.long()
    logs = noise.log()
    return torch.lerp(_rows(logs, before), _rows(logs, before + 1), (place - before)[:, :, None]).exp()


def _rows(values: Tensor, index: Tensor) -> Tensor:
    """Return the rows ``index`` (N, K) of each of values (N, T, B), (N, K, B)."""
    return values.gather(1, index[:, :, None].expand(-1, -1, values.shape[2]))


def _pool(values: Tensor, frames: int) -> Tensor:
    """Average values (N, T, B) over the ``frames`` and `SMOOTHING` bands around each, zeros beyond the edges."""
    padding = (frames // 2, SMOOTHING // 2)
    return F.avg_pool2d(values[:, None], (frames, SMOOTHING), 1, padding)[:, 0]
