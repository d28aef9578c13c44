"""Convolutions over time and frequency."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from asr.errors import InputError
from asr.modules.frame_stacking import subsampled_lengths
from asr.utils.masks import length_mask


class Convolution(nn.Module):
    """Layers of 2-D convolution and ReLU over features, which are seen as an image of time and frequency bands.

    What a layer learns of a formant at one frequency holds at others too, those of other speakers: Deep Speech 2 puts
    two convolutions below its RNN (Amodei et al. 2016, arXiv 1512.02595, section 3.5). Each layer halves the bands.
    The first has a kernel of ``2 * stride + 1`` frames by 5 bands and a stride of ``stride`` frames, the others a
    kernel of 3 by 3 and a stride of 1 frame.

    Maps ``(N, T, bands)`` and lengths ``(N,)`` to ``(N, ceil(T / stride), output_size)`` and their lengths. Frames
    beyond an utterance's length are zero, before and after each layer, so that an utterance gives the same result in
    a batch as alone.

    Args:
        bands: features per frame.
        channels: output channels of each layer.
        stride: frames from one output frame to the next.

    Attributes:
        output_size: elements of an output frame.

    Raises:
        InputError: ``channels`` is empty, or a number is not a positive integer.
    """

    def __init__(self, bands: int, channels: Sequence[int], stride: int = 1) -> None:
        super().__init__()
        if not channels or not all(isinstance(count, int) and count > 0 for count in channels) or stride < 1:
            raise InputError(f"channels={list(channels)}, stride={stride}: positive integers are expected")
        layers = []
        for number, (in_channels, out_channels) in enumerate(zip([1, *channels], channels, strict=False)):
            kernel, step = ((2 * stride + 1, 5), (stride, 2)) if number == 0 else ((3, 3), (1, 2))
            padding = (kernel[0] // 2, kernel[1] // 2)
            layers.append(nn.Conv2d(in_channels, out_channels, kernel, step, padding))
            bands = -(-bands // 2)
        self.layers = nn.ModuleList(layers)
        self.stride = stride
        self.output_size = bands * channels[-1]

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Return ceil(lengths / stride)."""
        return subsampled_lengths(lengths, self.stride)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Apply all layers; see the class."""
        x = _mask(x[:, None], lengths)  # (N, 1, T, bands)
        lengths = self.output_lengths(lengths)
        for layer in self.layers:
            # channels last: the kernels' own memory layout, which the layers above read without a copy
            x = _mask(layer(x.contiguous(memory_format=torch.channels_last)).relu(), lengths)
        return x.permute(0, 2, 3, 1).flatten(2), lengths  # (N, C, T', F') -> (N, T', F' * C)


def _mask(x: Tensor, lengths: Tensor) -> Tensor:
    """Set frames of ``x`` (N, C, T, F) beyond each length to zero."""
    return x * length_mask(lengths.to(x.device), x.shape[2])[:, None, :, None]
