"""Cepstral mean and variance normalization, by statistics of the training set or of each utterance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

from asr.errors import InputError
from asr.utils.options import check_choice

# Mean and standard deviation (dim,) of a recording's features.
Statistics: TypeAlias = "tuple[Tensor, Tensor]"

MODES = ("global", "utterance", "both", "none")
FITTED = ("global", "both")  # modes with statistics of the training set
PER_UTTERANCE = ("utterance", "both")  # modes with statistics of each utterance

# A column that hardly varies (digital silence, an unused coefficient) is centered but not scaled up to noise.
SMALLEST_STD = 1e-5


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

    Attributes:
        mean: of the training set, ``(dim,)``; modes ``"global"`` and ``"both"`` only.
        std: standard deviation of the training set, ``(dim,)``; likewise.
        frames: number of frames that :meth:`fit` has seen, 0 before; likewise.

    Raises:
        InputError: an unknown mode, a fraction outside 0 to 1, or a level in a mode without an utterance's own mean.
    """

    mean: Tensor
    std: Tensor
    frames: Tensor

    def __init__(
        self, dim: int, mode: str = "global", mean_fraction: float = 1.0, scale: bool = True, level: int = 0
    ) -> None:
        super().__init__()
        check_choice("normalization", mode, MODES)
        if not 0 <= mean_fraction <= 1:
            raise InputError(f"mean_fraction={mean_fraction}: use a number from 0 to 1")
        if level and mode not in PER_UTTERANCE:
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

    def forward(
        self, features: Tensor, lengths: Tensor, statistics: Sequence[Statistics | None] | None = None
    ) -> Tensor:
        """Normalize features in place.

        Args:
            features: ``(N, T, dim)``; frames beyond an utterance's length must be zero, and stay zero.
            lengths: frames of each utterance, ``(N,)``.
            statistics: in modes ``"utterance"`` and ``"both"`` used instead of an utterance's own, where not None.

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
            mean, std = mean_and_std(*moments(features), lengths[:, None])  # (N, F) each, float64
            for row, known in enumerate(statistics or ()):
                if known is not None:
                    mean[row], std[row] = known
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
        if len(features) > 1:  # a single utterance has no padding
            beyond = torch.arange(features.shape[1], device=lengths.device) >= lengths[:, None]
            features.masked_fill_(beyond[:, :, None], 0)
        return features

    @torch.no_grad()
    def fit(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Set the global statistics, by `global_statistics` of ``batches``; InputError if there are no frames."""
        mean, std, frames = global_statistics(batches)
        self.mean.copy_(mean)
        self.std.copy_(std)
        self.frames.fill_(frames)


def global_statistics(batches: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor, int]:
    """Compute mean and standard deviation of all frames, in one pass, with sums in float64.

    Args:
        batches: pairs of features ``(N, T, F)``, zero beyond an utterance's length, and lengths ``(N,)``.

    Returns:
        Mean ``(F,)``, standard deviation ``(F,)`` and number of frames.

    Raises:
        InputError: there are no frames.
    """
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
    """Return sum and sum of squares, ``(N, F)`` each, in float64, over the frames of ``features`` (N, T, F)."""
    dtype = torch.float32 if features.device.type == "mps" else torch.float64  # MPS has no float64
    total = features.new_zeros(features.shape[0], features.shape[2], dtype=dtype)
    total_of_squares = torch.zeros_like(total)
    for block in features.split(4096, dim=1):  # bounds the memory of the float64 copy
        values = block.to(dtype)
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
