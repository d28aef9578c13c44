"""Convolutions over time and frequency."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from asr.errors import InputError
from asr.modules.frame_stacking import subsampled_lengths
from asr.utils.masks import length_mask


class Convolution(nn.Module):
    """Layers of convolution and rectifier over the picture of time and bands that features are.

    What one learns of a formant at one height it then knows at others, of other speakers: Deep Speech 2 puts two such
    layers below its RNN (Amodei et al. 2016, arXiv 1512.02595, section 3.5). Each layer halves the bands; the first
    reads ``2 * stride + 1`` frames and 5 bands at a time and moves on by ``stride`` frames, the others read 3 by 3.

    Shapes: ``(N, T, bands)`` and lengths ``(N,)`` to ``(N, ceil(T / stride), output_size)`` and theirs; zeros behind
    each length, so that an utterance gives in a batch what it gives alone.
    """

    def __init__(self, bands: int, channels: Sequence[int], stride: int = 1) -> None:
        super().__init__()
        if not channels or not all(isinstance(count, int) and count > 0 for count in channels) or stride < 1:
            raise InputError(f"channels={list(channels)}, stride={stride}: positive whole numbers are needed")
        layers = []
        for number, (read, written) in enumerate(zip([1, *channels], channels, strict=False)):
            kernel, step = ((2 * stride + 1, 5), (stride, 2)) if number == 0 else ((3, 3), (1, 2))
            padding = (kernel[0] // 2, kernel[1] // 2)
            layers.append(nn.Conv2d(read, written, kernel, step, padding))
            bands = -(-bands // 2)
        self.layers = nn.ModuleList(layers)
        self.stride = stride
        self.output_size = bands * channels[-1]

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """ceil(lengths / stride)."""
        return subsampled_lengths(lengths, self.stride)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        x = _cut(x[:, None], lengths)
        lengths = self.output_lengths(lengths)
        for layer in self.layers:
            # channels last: the kernels' own order, in which the layers above read without a copy
            x = _cut(layer(x.contiguous(memory_format=torch.channels_last)).relu(), lengths)
        return x.permute(0, 2, 3, 1).flatten(2), lengths


def _cut(x: Tensor, lengths: Tensor) -> Tensor:
    """Zeros behind each length of (N, C, T, F)."""
    return x * length_mask(lengths.to(x.device), x.shape[2])[:, None, :, None]
