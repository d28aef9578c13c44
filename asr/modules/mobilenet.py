"""MobileNetV2 (Sandler et al. 2018, arXiv 1801.04381): encodes an image as a grid of feature vectors."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from asr.errors import InputError
from asr.utils.options import check_choice
from asr.utils.permissions import check_readable
from asr.utils.state_dict import check_shapes

# Table 2 of the paper: expansion factor, output channels, number of layers, stride of the first layer.
BLOCKS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
GRID_SIZE = 1280

# Mean and standard deviation of red, green and blue (from 0 to 1) that published weights were trained with.
NORMALIZATIONS = {
    "tensorflow": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),  # x / 127.5 - 1
    "torchvision": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),  # of ImageNet
}


class MobileNetV2(nn.Module):
    """MobileNetV2 of width 1.0. Parameters have torchvision's names, so that its weight files can be loaded.

    The classifier of ImageNet is there for such files only: `forward` returns the grid that it would average.

    Batch normalization always uses its stored statistics, in training too: those of another, smaller set of images
    are no improvement, and a weight file may have them folded into the convolutions.

    Args:
        num_classes: 1000 in torchvision's files; 1001 in TensorFlow's, whose class 0 is the background.
        same_padding: whether convolutions of stride 2 pad as TensorFlow's (right and below where the number of pixels
            is even) instead of on all sides as torchvision's. Must agree with how the weights were trained.
        normalization: of the pixels, ``"tensorflow"`` or ``"torchvision"``. Must agree with how the weights were
            trained.

    Raises:
        InputError: ``normalization`` is neither of the two.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, num_classes: int = 1000, *, same_padding: bool = False, normalization: str = "torchvision"
    ) -> None:
        super().__init__()
        check_choice("normalization", normalization, NORMALIZATIONS)
        for name, values in zip(("mean", "deviation"), NORMALIZATIONS[normalization], strict=True):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)
        layers: list[nn.Module] = [_unit(3, 32, kernel=3, stride=2, same_padding=same_padding)]
        channels = 32
        for expansion, out_channels, count, stride in BLOCKS:
            for number in range(count):
                layers.append(_Block(channels, out_channels, expansion, 1 if number else stride, same_padding))
                channels = out_channels
        self.options = (num_classes, same_padding, normalization)
        self.features = nn.Sequential(*layers, _unit(channels, GRID_SIZE, kernel=1))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(GRID_SIZE, num_classes))

    def forward(self, images: Tensor) -> Tensor:
        """Encode images.

        Args:
            images: RGB, ``(N, 3, S, S)``, uint8 or float from 0 to 1.

        Returns:
            Feature vectors of the grid's cells, row by row, ``(N, H * W, 1280)`` with H = W = ceil(S / 32).
        """
        x = images / 255 if images.dtype == torch.uint8 else images
        x = (x.to(self.mean.dtype) - self.mean) / self.deviation
        # channels last: the convolution kernels' own memory layout, which saves them a copy
        return (
            self.features(x.contiguous(memory_format=torch.channels_last)).flatten(2).transpose(1, 2)
        )  # (N, C, H * W) -> (N, H * W, C)

    def train(self, mode: bool = True) -> MobileNetV2:
        """Set training mode, except for the batch normalization, which stays in evaluation mode."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def equals(self, other: MobileNetV2) -> bool:
        """Return whether both networks encode every image alike, having the same options and weights."""
        weights = zip(self.state_dict().values(), other.state_dict().values(), strict=True)
        return self.options == other.options and all(torch.equal(ours, theirs) for ours, theirs in weights)

    def load_weights(self, path: str | Path) -> None:
        """Load the weights of a file.

        Args:
            path: safetensors, or a state dictionary of PyTorch as torchvision's (``.pth``), of any precision.

        Raises:
            InputError: the file cannot be read, is neither of the two, or a weight is missing, unknown or of another
                shape; the message names it.
        """
        weights, expected = _without_counters(_read(Path(path))), _without_counters(self.state_dict())
        if difference := check_shapes(weights, expected):
            raise InputError(f"{path}: {difference}")
        self.load_state_dict(weights, strict=False)


def _without_counters(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Leave out batch normalization's counters, which older files lack and nothing reads."""
    return {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}


class _Block(nn.Module):
    """An inverted residual (section 3.3): widen, filter each channel by itself, narrow, without a rectifier."""

    def __init__(self, in_channels: int, out_channels: int, expansion: int, stride: int, same_padding: bool) -> None:
        super().__init__()
        width = in_channels * expansion
        widen = [_unit(in_channels, width, kernel=1)] if expansion > 1 else []
        self.conv = nn.Sequential(
            *widen,
            _unit(width, width, kernel=3, stride=stride, groups=width, same_padding=same_padding),
            nn.Conv2d(width, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


class _SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's "SAME" padding to ceil(size / stride) outputs: an odd zero goes right or below."""

    def forward(self, x: Tensor) -> Tensor:
        sides: list[int] = []
        for size, kernel, stride in zip(x.shape[2:], self.kernel_size, self.stride, strict=True):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            sides = [total // 2, total - total // 2, *sides]  # F.pad begins with the last dimension
        return super().forward(F.pad(x, sides))


def _unit(
    in_channels: int,
    out_channels: int,
    *,
    kernel: int,
    stride: int = 1,
    groups: int = 1,
    same_padding: bool = False,
) -> nn.Sequential:
    """Build convolution, batch normalization and ReLU6."""
    convolution: nn.Conv2d
    if stride > 1 and same_padding:
        convolution = _SameConv2d(in_channels, out_channels, kernel, stride, groups=groups, bias=False)
    else:
        convolution = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(out_channels), nn.ReLU6(inplace=True))


def _read(path: Path) -> Mapping[str, Tensor]:
    """Read tensors by name; InputError where the file cannot be read or holds none."""
    check_readable(path)
    try:
        state: Any = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise InputError(f"{path}: neither safetensors nor a state dictionary of PyTorch ({error})") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"{path}: not a state dictionary; a dictionary of tensors by name is expected")
    return state
