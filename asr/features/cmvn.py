"""Mean and variance normalisation, over the training set or over each utterance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

from asr.errors import InputError

# Mean and standard deviation (dim,) of a recording's features.
Statistics: TypeAlias = "tuple[Tensor, Tensor]"

MODES = ("global", "utterance", "both", "none")
FITTED = ("global", "both")  # those that know the training set

# A column that hardly varies (digital silence, an unused coefficient) is centred but not scaled up to noise.
SMALLEST_STD = 1e-5


class FeatureNormalizer(nn.Module):
    """Zero mean and unit variance for every element of a feature vector.

    Args:
        dim: number of elements of a frame.
        mode: ``"global"``, by statistics of the training set that :meth:`fit` sets and the state dict carries
            (Graves et al. 2013); ``"utterance"``, by those of the utterance itself; ``"both"``, by the training set's
            mean drawn towards the utterance's, and one of the two standard deviations; ``"none"``.
        mean_fraction: how much of an utterance's own mean is subtracted (mode ``"utterance"``; mode ``"both"``: and how
            much is left of the training set's). Less than 1 keeps part of what distinguishes a short utterance from
            silence.
        level: of so many columns, the first ones, log energies of bands, the utterance's own level (the mean of their
            means) is subtracted wholly, whatever the ``mean_fraction``: what is left of its mean is a shape of the
            spectrum, and how loud the recording is makes no difference. 0: the level is a part of the mean like others.
        scale: whether an utterance is divided by its own standard deviation; if not, in mode ``"both"`` by that of the
            training set.
    """

    mean: Tensor
    std: Tensor
    frames: Tensor

    def __init__(
        self, dim: int, mode: str = "global", mean_fraction: float = 1.0, scale: bool = True, level: int = 0
    ) -> None:
        super().__init__()
        if mode not in MODES:
            raise InputError(f"normalization={mode!r}: use one of {', '.join(MODES)}")
        if not 0 <= mean_fraction <= 1:
            raise InputError(f"mean_fraction={mean_fraction}: use a number from 0 to 1")
        if level and mode not in ("utterance", "both"):
            raise InputError(f"remove_level: normalization={mode!r} knows no utterance's level: use utterance or both")
        self.mode = mode
        self.level = level
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

    def forward(self, features: Tensor, lengths: Tensor, given: Sequence[Statistics | None] | None = None) -> Tensor:
        """Normalise ``features`` (N, T, dim) in place, frames beyond ``lengths`` (N,) being and staying zero.

        In modes ``"utterance"`` and ``"both"`` a row's ``given`` statistics, where there are some, stand for its own.
        """
        self.require_fitted()
        if self.mode == "none":
            return features
        if self.mode == "global":
            features.sub_(self.mean).div_(safe_std(self.std))
        else:
            mean, std = mean_and_std(*moments(features), lengths[:, None])
            for row, known in enumerate(given or ()):
                if known is not None:
                    mean[row], std[row] = known
            usual = self.mean if self.mode == "both" else torch.zeros_like(mean[0])
            kept = torch.lerp(usual.to(mean.dtype), mean, self.mean_fraction)
            if self.level:
                kept[:, : self.level] += (mean - kept)[:, : self.level].mean(1, keepdim=True)
            features.sub_(kept.float()[:, None])
            if self.scale:
                features.div_(safe_std(std).float()[:, None])
            elif self.mode == "both":
                features.div_(safe_std(self.std))
        if len(features) > 1:
            beyond = torch.arange(features.shape[1], device=lengths.device) >= lengths[:, None]
            features.masked_fill_(beyond[:, :, None], 0)
        return features

    @torch.no_grad()
    def fit(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Set the global statistics from ``batches`` of (features, lengths), one pass, sums in float64.

        Frames beyond the lengths must be zero.
        """
        mean, std, frames = global_statistics(batches)
        self.mean.copy_(mean)
        self.std.copy_(std)
        self.frames.fill_(frames)


def global_statistics(batches: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor, int]:
    """Mean and standard deviation (dim,) of all frames of ``batches`` of (features, lengths), and their number."""
    total = total_of_squares = torch.zeros(1, dtype=torch.float64)
    frames = 0
    for features, lengths in batches:
        sums, squares = moments(features)
        total = total + sums.sum(0).cpu().double()
        total_of_squares = total_of_squares + squares.sum(0).cpu().double()
        frames += int(lengths.sum())
    if frames == 0:
        raise InputError("no frames to compute the features' mean and standard deviation from")
    return *mean_and_std(total, total_of_squares, torch.tensor(frames)), frames


def moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Sum and sum of squares (N, F), in float64, over the frames of ``features`` (N, T, F)."""
    dtype = torch.float32 if features.device.type == "mps" else torch.float64
    total = features.new_zeros(features.shape[0], features.shape[2], dtype=dtype)
    total_of_squares = torch.zeros_like(total)
    for block in features.split(4096, dim=1):
        values = block.to(dtype)
        total += values.sum(1)
        total_of_squares += values.square().sum(1)
    return total, total_of_squares


def mean_and_std(total: Tensor, total_of_squares: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and (population) standard deviation from sums over ``frames``."""
    mean = total / frames
    return mean, (total_of_squares / frames - mean.square()).clamp(min=0).sqrt()


def safe_std(std: Tensor) -> Tensor:
    """``std`` with 1 in place of values too small to divide by."""
    return torch.where(std < SMALLEST_STD, 1, std)
