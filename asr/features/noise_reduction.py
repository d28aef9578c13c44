"""Reduce steady noise in the band energies of noisy utterances, by a Wiener filter with a running noise estimate."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from asr.utils.masks import length_mask, take_frames

# The noise of a band is NOISE_QUANTILE of the mean energies of CHUNK frames, in windows of WINDOW chunks (3 s at 10 ms
# a frame), one every HOP chunks. NOISE_BIAS is the mean of white noise over that quantile.
CHUNK = 8
WINDOW = 37
HOP = 9
NOISE_QUANTILE = 0.2
NOISE_BIAS = 1.25
MIN_GAIN = 0.1  # of an energy; with lower ones recognizers stumble over the fluctuation of the gain in noise

# Utterances whose ratio of signal to noise is this or more stay as they are, as taking away what is no steady noise
# costs more than it gains: 95 % of LibriSpeech's (dev) are above 15 dB; with white noise at 10 dB they are below 9.
NOISY_BELOW = 10.0  # dB


def reduce_noise(log_energies: Tensor, frames: Tensor) -> Tensor:
    """Reduce steady noise in the logarithmic band energies of utterances that are not `NOISY_BELOW` above it.

    The energy of a band is multiplied by the square of a Wiener gain ξ / (1 + ξ), where ξ is the ratio of speech to
    noise: the mean energy of three frames and three bands over that of the noise in the three bands, less 1 (Boll 1979;
    Loizou 2013, Speech Enhancement, ch. 6).

    Args:
        log_energies: natural logarithms, ``(N, T, B)``, of any value beyond an utterance's own frames.
        frames: of each utterance, at least 1, ``(N,)``.

    Returns:
        ``(N, T, B)``: less than ``log_energies`` by 0 to 10 dB; of any value beyond an utterance's own frames.
    """
    inside = length_mask(frames, log_energies.shape[1])[:, :, None]
    energies = log_energies.exp().masked_fill(~inside, 0)
    noise = log_noise(energies, frames)
    # zeros outside count neither in the sums nor in their numbers of terms
    terms = _sum_of_three(inside.to(energies), 1).clamp_(min=1)
    around = _mean_of_bands(_sum_of_three(energies, 1).div_(terms))
    ratio = (around / noise.exp()).sub_(1).clamp_(min=0)
    gain = ratio.div_(ratio + 1).square_().clamp_(min=MIN_GAIN)
    noisy = signal_to_noise(energies, noise.masked_fill_(~inside, 0), frames) < NOISY_BELOW
    return log_energies + torch.where(noisy[:, None, None], gain.log_(), 0)


def signal_to_noise(energies: Tensor, noise: Tensor, frames: Tensor) -> Tensor:
    """Return the ratio of signal to noise of each utterance in dB, (N,), a mean over the bands.

    ``energies`` and the logarithms of the ``noise``, (N, T, B), are zero beyond ``frames`` (N,).
    """
    frames = frames[:, None]
    nats = (energies.sum(1) / frames).log() - noise.sum(1) / frames  # (N, B)
    return nats.mean(1) * (10 / math.log(10))


def log_noise(energies: Tensor, frames: Tensor) -> Tensor:
    """Estimate steady noise in band energies (N, T, B), zero beyond ``frames`` (N,).

    Returns the logarithms (N, T, B) of its energies, averaged over three bands.
    """
    total, bands = energies.shape[1:]
    device = energies.device
    padded = F.pad(energies, (0, 0, 0, -total % CHUNK))
    means = padded.unflatten(1, (-1, CHUNK)).sum(2) / frames.clamp(max=CHUNK)[:, None, None]
    chunks = (frames // CHUNK).clamp(min=1)  # an incomplete last one is left out
    last = (chunks - WINDOW).clamp(min=0)[:, None]  # the first chunk of the last window

    number = (means.shape[1] + HOP - 1) // HOP + 1  # windows; those beyond the last one are the last one again
    starts = torch.minimum(torch.arange(number, device=device) * HOP, last)
    index = (starts[:, :, None] + torch.arange(WINDOW, device=device)).flatten(1)  # (N, number * WINDOW)
    windows = take_frames(means, index.clamp(max=means.shape[1] - 1))
    windows = windows.masked_fill((index >= chunks[:, None])[:, :, None], torch.inf)
    ordered = windows.unflatten(1, (number, WINDOW)).sort(2).values
    rank = (NOISE_QUANTILE * (chunks.clamp(max=WINDOW) - 1)).long()[:, None, None, None]
    noise = ordered.gather(2, rank.expand(-1, number, 1, bands))[:, :, 0] * NOISE_BIAS
    logs = _mean_of_bands(noise).log_()

    # between the centers of two windows the logarithm is interpolated
    center = (torch.arange(total, device=device) / CHUNK - WINDOW / 2) / HOP
    place = torch.minimum(center.clamp(min=0), last / HOP)  # (N, T), in windows
    before = place.long()
    return torch.lerp(take_frames(logs, before), take_frames(logs, before + 1), (place - before)[:, :, None])


def _mean_of_bands(values: Tensor) -> Tensor:
    """Average values (N, T, B) over each band and its neighbors, of which the first and the last have one."""
    terms = _sum_of_three(torch.ones_like(values[:1, :1]), 2)
    return _sum_of_three(values, 2).div_(terms)


def _sum_of_three(values: Tensor, dim: int) -> Tensor:
    """Add up each value and its neighbors in a dimension."""
    size = values.shape[dim] - 1
    total = values.clone()
    total.narrow(dim, 0, size).add_(values.narrow(dim, 1, size))
    total.narrow(dim, 1, size).add_(values.narrow(dim, 0, size))
    return total
