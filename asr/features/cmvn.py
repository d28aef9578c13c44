"""Cepstral mean and variance normalization, by statistics of the training set or of each utterance."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import torch
from torch import Tensor, nn

from asr.errors import InputError
from asr.utils.options import check_choice

# Nats below the loudest frame within which frames count for statistics, or the least and the most; None: all frames do.
Active: TypeAlias = float | tuple[float, float] | None

MODES = ("global", "utterance", "both", "none")
FITTED = ("global", "both")  # modes with statistics of the training set
PER_UTTERANCE = ("utterance", "both")  # modes with statistics of each utterance

# A column that hardly varies (digital silence, an unused coefficient) is centered but not scaled up to noise.
SMALLEST_STD = 1e-5

# The loudness of a frame is quantized in steps of STEP_NATS, at most MAX_STEPS above or below 0: the numbers of frames
# of each step then suffice to find the noise floor of a recording.
STEP_NATS = 0.25
MAX_STEPS = 200

# The noise floor of a recording is the loudness of its quietest frames, NOISE_QUANTILE of those within NOISE_RANGE nats
# (52 dB) of the loudest: what is below is digital silence. Frames of steady noise are up to NOISE_MARGIN nats louder.
NOISE_QUANTILE = 0.05
NOISE_RANGE = 12.0
NOISE_MARGIN = 1.5


class FeatureNormalizer(nn.Module):
    """Normalize every element of a feature vector to zero mean and unit variance.

    Args:
        dim: number F of elements of a frame.
        mode: ``"global"``, by statistics of the training set, which :meth:`fit` sets and the state dict holds (Graves
            et al. 2013); ``"utterance"``, by those of the utterance itself; ``"both"``, by a mean between the training
            set's and the utterance's, and one of the two standard deviations; ``"none"``.
        mean_fraction: fraction of an utterance's own mean that is subtracted, 0 to 1 (in mode ``"both"`` the rest is
            the training set's mean). Less than 1 keeps part of what distinguishes a short utterance from silence.
        scale: whether an utterance is divided by its own standard deviation; if not, in mode ``"both"`` by that of the
            training set.
        level: the first ``level`` columns are log energies of bands. The level of an utterance, the mean of their
            means, is subtracted wholly, whatever the ``mean_fraction``: what is left of the mean is a spectral shape,
            and how loud a recording is makes no difference. 0: the level is treated as the rest of the mean.
        active: only frames within this many nats of the loudest frame of the recording count for its mean and standard
            deviation, and for those of the training set, so that silence around speech makes no difference. The
            loudness of a frame is that of its strongest band. A pair (least, most): the number of nats is between
            these, so that only frames above the recording's noise floor count, however long the noise and loud or soft
            the speech. None: all frames count.
        floor: band energies further than this many nats below the recording's mean are raised to that limit: digital
            silence and quiet noise become the same. None: no limit.
        num_bands: number of the first columns that are log energies of bands, which ``active`` and ``floor`` need.

    Attributes:
        mean: of the training set, ``(dim,)``; modes ``"global"`` and ``"both"`` only.
        std: standard deviation of the training set, ``(dim,)``; likewise.
        frames: number of frames that :meth:`fit` has seen, 0 before; likewise.

    Raises:
        InputError: an unknown mode, a fraction outside 0 to 1, a level or floor in a mode without an utterance's own
            mean, a number of nats that is not above 0, ``active`` in the wrong order, or ``active`` or ``floor`` for
            features without band energies.
    """

    mean: Tensor
    std: Tensor
    frames: Tensor

    def __init__(
        self,
        dim: int,
        mode: str = "global",
        mean_fraction: float = 1.0,
        scale: bool = True,
        level: int = 0,
        *,
        active: Active = None,
        floor: float | None = None,
        num_bands: int = 0,
    ) -> None:
        super().__init__()
        check_choice("normalization", mode, MODES)
        if not 0 <= mean_fraction <= 1:
            raise InputError(f"mean_fraction={mean_fraction}: use a number from 0 to 1")
        if level and mode not in PER_UTTERANCE:
            raise InputError(f"remove_level: normalization={mode!r} knows no utterance's level: use utterance or both")
        if floor is not None and not floor > 0:
            raise InputError(f"floor={floor}: use a number of nats above 0, or null")
        bounds = (active, active) if isinstance(active, (int, float)) else active
        if bounds is not None and not 0 < bounds[0] <= bounds[1]:
            raise InputError(f"active={active}: use a number of nats above 0, or two: [least, most], or null")
        if (active is not None or floor is not None) and not num_bands:
            raise InputError("active, floor: these features have no band energies; use the type filterbank")
        if floor is not None and mode not in PER_UTTERANCE:
            raise InputError(f"floor: normalization={mode!r} knows no utterance's mean: use utterance or both")
        self.mode = mode
        self.level = level
        self.active = bounds
        self.floor = floor
        self.num_bands = num_bands
        self.mean_fraction = mean_fraction
        self.scale = scale
        if mode in FITTED:
            self.register_buffer("mean", torch.zeros(dim))
            self.register_buffer("std", torch.ones(dim))
            self.register_buffer("frames", torch.zeros((), dtype=torch.int64))

    @property
    def fitted(self) -> bool:
        """False only in modes ``"global"`` and ``"both"`` before :meth:`fit` or loading."""
        return self.mode not in FITTED or bool(self.frames > 0)

    def require_fitted(self) -> None:
        """Raise InputError unless :attr:`fitted`."""
        if not self.fitted:
            raise InputError(
                "the features' global mean and standard deviation are not set: call fit(batches) with "
                'training data, load a trained model, or use normalization="utterance"'
            )

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Normalize features in place.

        Args:
            features: ``(N, T, dim)``; frames beyond an utterance's length must be zero, and stay zero.
            lengths: frames of each utterance, ``(N,)``.

        Returns:
            ``features`` itself.

        Raises:
            InputError: global statistics are needed and not set.
        """
        self.require_fitted()
        if self.mode == "none":
            return features
        if self.mode == "global":
            features.sub_(self.mean).div_(safe_std(self.std))
        else:
            mean, std = mean_and_std(*self.sums(features, lengths))  # (N, F) each, float64
            self.normalize_by(features, mean, std)
        if len(features) > 1:  # a single utterance has no padding
            beyond = torch.arange(features.shape[1], device=lengths.device) >= lengths[:, None]
            features.masked_fill_(beyond[:, :, None], 0)
        return features

    def normalize_by(self, features: Tensor, mean: Tensor, std: Tensor) -> None:
        """Normalize features (N, T, dim) in place by the statistics (N, dim) of their utterances; see the class."""
        if self.floor is not None:
            lowest = (mean - self.floor).float()[:, None, : self.num_bands]
            bands = features[:, :, : self.num_bands]
            torch.maximum(bands, lowest, out=bands)
        usual = self.mean if self.mode == "both" else torch.zeros_like(mean[0])
        offset = torch.lerp(usual.to(mean.dtype), mean, self.mean_fraction)
        if self.level:
            # the part of the level that the offset leaves is subtracted as well, the same from all bands
            offset[:, : self.level] += (mean - offset)[:, : self.level].mean(1, keepdim=True)
        features.sub_(offset.float()[:, None])
        if self.scale:
            features.div_(safe_std(std).float()[:, None])
        elif self.mode == "both":
            features.div_(safe_std(self.std))

    @torch.no_grad()
    def fit(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Set the global statistics from the active frames of batches, in one pass.

        Args:
            batches: pairs of features ``(N, T, dim)``, zero beyond an utterance's length, and lengths ``(N,)``.

        Raises:
            InputError: there are no frames.
        """
        mean, std, frames = pooled_statistics(self.sums(*batch) for batch in batches)
        self.mean.copy_(mean)
        self.std.copy_(std)
        self.frames.fill_(frames)

    def sums(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the `moments`, ``(N, dim)`` each, of the active frames of each utterance, and their number (N, 1)."""
        if self.active is None:
            return *moments(features), lengths[:, None]
        steps = loudness(features, self.num_bands)
        inside = torch.arange(steps.shape[1], device=steps.device) < lengths.to(steps.device)[:, None]
        counts = torch.zeros(steps.shape[0], 2 * MAX_STEPS + 1, dtype=torch.int64, device=steps.device)
        counts.scatter_add_(1, steps, inside.long())
        is_active = (steps >= first_active(counts, *self.active)[:, None]) & inside
        return *moments(features, is_active), is_active.sum(1, keepdim=True)


def loudness(features: Tensor, num_bands: int) -> Tensor:
    """Return the greatest of the first ``num_bands`` columns of each frame (N, T, F) in steps, (N, T) int64.

    Steps are those of `STEP_NATS`, from 0 to twice `MAX_STEPS`.
    """
    return (features[:, :, :num_bands].amax(-1) / STEP_NATS).floor().clamp(-MAX_STEPS, MAX_STEPS).long() + MAX_STEPS


def first_active(counts: Tensor, least: float, most: float) -> Tensor:
    """Return the `loudness` from which on frames are active, (N,), where ``counts`` (N, steps) have each loudness.

    It is above the noise floor of each recording, but ``least`` to ``most`` nats below its loudest frame.
    """
    steps = torch.arange(counts.shape[1], device=counts.device)
    loudest = ((counts > 0) * steps).amax(1)
    near = counts * (steps > (loudest - NOISE_RANGE / STEP_NATS)[:, None])
    quiet = (near.cumsum(1) >= NOISE_QUANTILE * near.sum(1, keepdim=True)).long().argmax(1)
    nats = ((loudest - quiet) * STEP_NATS - NOISE_MARGIN).clamp(least, most)
    return (loudest - nats / STEP_NATS).floor().long() + 1


def pooled_statistics(sums: Iterable[tuple[Tensor, Tensor, Tensor]]) -> tuple[Tensor, Tensor, int]:
    """Compute mean and standard deviation over the frames of all batches.

    Args:
        sums: of each batch the sum and the sum of squares, ``(N, F)`` each, and the number of frames ``(N, 1)``.

    Returns:
        Mean ``(F,)`` and standard deviation ``(F,)``, float64, and the number of frames.

    Raises:
        InputError: there are no frames.
    """
    total = total_of_squares = torch.zeros(1, dtype=torch.float64)
    frames = 0
    for values, squares, counts in sums:
        total = total + values.sum(0).cpu().double()
        total_of_squares = total_of_squares + squares.sum(0).cpu().double()
        frames += int(counts.sum())
    if frames == 0:
        raise InputError("no frames to compute the features' mean and standard deviation from")
    return *mean_and_std(total, total_of_squares, torch.tensor(frames)), frames


def moments(features: Tensor, included: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Compute sum and sum of squares over the frames of each utterance, in float64.

    Args:
        features: ``(N, T, F)``, zero beyond an utterance's length.
        included: ``(N, T)`` bool, the frames that count; None: all.

    Returns:
        Two tensors ``(N, F)``.
    """
    dtype = torch.float32 if features.device.type == "mps" else torch.float64  # MPS has no float64
    total = features.new_zeros(features.shape[0], features.shape[2], dtype=dtype)
    total_of_squares = torch.zeros_like(total)
    frames = features.shape[1]
    # blocks bound the memory of the float64 copy; an exported graph has no loop
    blocks = [slice(frames)] if torch.compiler.is_exporting() else [slice(b, b + 4096) for b in range(0, frames, 4096)]
    for block in blocks:
        values = features[:, block].to(dtype)
        if included is not None:
            values = values * included[:, block, None]
        total += values.sum(1)
        total_of_squares += values.square().sum(1)
    return total, total_of_squares


def mean_and_std(total: Tensor, total_of_squares: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and (population) standard deviation from sums over ``frames`` frames; shapes broadcast."""
    mean = total / frames
    # rounding may leave a variance just below zero
    return mean, (total_of_squares / frames - mean.square()).clamp(min=0).sqrt()


def safe_std(std: Tensor) -> Tensor:
    """Return ``std`` with 1 in place of values too small to divide by."""
    return torch.where(std < SMALLEST_STD, 1, std)
