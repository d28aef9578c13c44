"""Reduce steady noise in the energies of mel bands, by a Wiener filter with a running estimate of the noise."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

# The noise of a band is NOISE_QUANTILE of the mean energies of chunks of CHUNK frames, in windows of WINDOW chunks (3 s
# at 10 ms a frame) that begin about every HOP chunks. NOISE_BIAS is the mean of white noise over that quantile.
CHUNK = 8
WINDOW = 37
HOP = 9
NOISE_QUANTILE = 0.2
NOISE_BIAS = 1.25
SMOOTHING = 3  # frames and bands over which the energy is averaged, before it is compared with the noise
MIN_GAIN = 0.1  # of the energy: less would make noise of the gain's own fluctuation


def reduce_noise(log_energies: Tensor) -> Tensor:
    """Subtract steady noise from the logarithmic band energies of an utterance.

    The energy of a band is multiplied by the square of a Wiener gain ξ / (1 + ξ), where ξ is the ratio of speech to
    noise: the energy of the frames and bands around over that of the noise, less 1 (Boll 1979; Ephraim & Malah 1984).

    Args:
        log_energies: natural logarithms, ``(T, B)``, at least one frame.

    Returns:
        ``(T, B)``: reduced by 10 dB at most.
    """
    energies = log_energies.exp()
    noise = noise_energies(energies)
    around = _mean_around(energies, SMOOTHING, SMOOTHING)
    ratio = (around / _mean_around(noise, 1, SMOOTHING) - 1).clamp_(min=0)
    gain = (ratio / (1 + ratio)).square_().clamp_(min=MIN_GAIN)
    return log_energies + gain.log_()


def noise_energies(energies: Tensor) -> Tensor:
    """Estimate the energies of steady noise in the bands of an utterance; (T, B) of energies (T, B)."""
    frames, bands = energies.shape
    chunks = frames // CHUNK
    if chunks:
        means = energies[: chunks * CHUNK].view(chunks, CHUNK, bands).mean(1)
    else:
        means, chunks = energies.mean(0, keepdim=True), 1
    window = min(WINDOW, chunks)
    last = chunks - window  # the first chunk of the last window
    starts = torch.linspace(0, last, (last + HOP - 1) // HOP + 1, device=means.device).round().long()
    rank = int(NOISE_QUANTILE * (window - 1)) + 1
    windows = means[starts[:, None] + torch.arange(window, device=means.device)]  # (W, window, B)
    noise = windows.kthvalue(rank, dim=1).values.mul_(NOISE_BIAS)
    if len(starts) == 1:
        return noise.expand(frames, -1)
    # interpolated in time between the centers of the windows, logarithmically
    centers = (starts + window / 2) * CHUNK
    times = torch.arange(frames, device=means.device).clamp(int(centers[0]), int(centers[-1]))
    right = torch.searchsorted(centers, times).clamp(1, len(centers) - 1)
    share = (times - centers[right - 1]) / (centers[right] - centers[right - 1])
    logs = noise.log_()
    return torch.lerp(logs[right - 1], logs[right], share.clamp(0, 1)[:, None]).exp_()


def _mean_around(values: Tensor, frames: int, bands: int) -> Tensor:
    """Average values (T, B) over the ``frames`` and ``bands`` (odd numbers) around each, as far as they exist."""
    padding = (frames // 2, bands // 2)
    return F.avg_pool2d(values[None, None], (frames, bands), 1, padding, count_include_pad=False)[0, 0]
