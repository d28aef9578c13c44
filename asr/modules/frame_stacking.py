"""Frame stacking and subsampling."""

from __future__ import annotations

from torch import Tensor, nn

from asr.errors import InputError
from asr.utils.masks import length_mask


def subsampled_lengths(lengths: Tensor, stride: int) -> Tensor:
    """Return ceil(lengths / stride): the number of frames (N,) that are left when every ``stride``-th is kept."""
    return (lengths + stride - 1).div(stride, rounding_mode="floor")


class FrameStacking(nn.Module):
    """Join ``stack`` frames into one, every ``stride`` frames: ``(N, T, F)`` → ``(N, ceil(T / stride), F * stack)``.

    Output frame t holds input frames t * stride to t * stride + stack - 1 side by side, with zeros for those beyond
    the utterance's own end. Stacking 3 with stride 3 triples the frame period and loses nothing.

    Args:
        stack: number of frames that are joined.
        stride: frames from one output frame to the next.

    Raises:
        InputError: a number is below 1.
    """

    def __init__(self, stack: int = 1, stride: int = 1) -> None:
        super().__init__()
        if stack < 1 or stride < 1:
            raise InputError(f"stack={stack}, stride={stride}: both must be at least 1")
        self.stack = stack
        self.stride = stride

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Return ceil(lengths / stride)."""
        return subsampled_lengths(lengths, self.stride)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Stack ``features`` (N, T, F) with ``lengths`` (N,); see the class."""
        if self.stack == self.stride == 1:
            return features, lengths
        n, total, dim = features.shape
        mask = length_mask(lengths.to(features.device), total)  # (N, T)
        features = features.masked_fill(~mask[:, :, None], 0)
        frames = -(-total // self.stride)
        features = nn.functional.pad(features, (0, 0, 0, (frames - 1) * self.stride + self.stack - total))
        stacked = features.unfold(1, self.stack, self.stride).transpose(2, 3)  # (N, frames, stack, F)
        return stacked.reshape(n, frames, self.stack * dim), self.output_lengths(lengths)
