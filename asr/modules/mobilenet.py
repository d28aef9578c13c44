"""MobileNetV2 (Sandler et al. 2018, arXiv 1801.04381): an image as a grid of vectors, one for each of its places."""

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

# Table 2 of the paper: expansion, channels, layers, stride of the first of them.
BLOCKS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
GRID_SIZE = 1280

# Of red, green and blue from 0 to 1, the mean and the deviation that networks were trained with.
NORMALIZATIONS = {
    "tensorflow": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),  # x / 127.5 - 1
    "torchvision": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),  # of ImageNet
}


class MobileNetV2(nn.Module):
    """The network of width 1.0, with torchvision's names of its parameters, so that its files of weights fit.

    Batch normalization always goes by its stored statistics, in training too: those of another, smaller set of images
    are no improvement, and a file may have them folded into the convolutions.

    Args:
        num_classes: 1000 in torchvision's files; 1001 in TensorFlow's, whose class 0 is the background.
        same_padding: convolutions of stride 2 pad as TensorFlow's do, right and below where there is an even number of
            pixels; else on all sides, as torchvision's. It must be what the weights were trained with.
        normalization: of the pixels, tensorflow or torchvision; likewise.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, num_classes: int = 1000, *, same_padding: bool = False, normalization: str = "torchvision"
    ) -> None:
        super().__init__()
        if normalization not in NORMALIZATIONS:
            raise InputError(f"normalization={normalization!r} is not one of {', '.join(NORMALIZATIONS)}")
        for name, values in zip(("mean", "deviation"), NORMALIZATIONS[normalization], strict=True):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)
        layers: list[nn.Module] = [_unit(3, 32, kernel=3, stride=2, same_padding=same_padding)]
        channels = 32
        for expansion, written, count, stride in BLOCKS:
            for number in range(count):
                layers.append(_Block(channels, written, expansion, 1 if number else stride, same_padding))
                channels = written
        self.options = (num_classes, same_padding, normalization)
        self.features = nn.Sequential(*layers, _unit(channels, GRID_SIZE, kernel=1))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(GRID_SIZE, num_classes))

    def forward(self, images: Tensor) -> Tensor:
        """The grid (N, H * W, 1280), row by row, of images (N, 3, S, S): RGB, uint8 or float from 0 to 1."""
        x = images / 255 if images.dtype == torch.uint8 else images
        x = (x.to(self.mean.dtype) - self.mean) / self.deviation
        # the kernels' own order of a picture's numbers, in which they read and write without a copy
        return self.features(x.contiguous(memory_format=torch.channels_last)).flatten(2).transpose(1, 2)

    def log_probs(self, images: Tensor) -> Tensor:
        """Natural-log probabilities (N, num_classes) of what images show."""
        return self.classifier(self(images).mean(1)).float().log_softmax(-1)

    def train(self, mode: bool = True) -> MobileNetV2:
        """Training mode for all but the batch normalization."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def equals(self, other: MobileNetV2) -> bool:
        """Whether the other one writes the same of every image: it has the same options and weights."""
        weights = zip(self.state_dict().values(), other.state_dict().values(), strict=True)
        return self.options == other.options and all(torch.equal(ours, theirs) for ours, theirs in weights)

    def load_weights(self, path: str | Path) -> None:
        """Take the weights of a file: safetensors, or a state dictionary of torchvision (.pth), of any precision.

        Raises InputError naming the file, and the first weight that is missing, unknown or of another shape.
        """
        theirs = {name: value for name, value in _read(Path(path)).items() if not name.endswith("num_batches_tracked")}
        ours = {name: value for name, value in self.state_dict().items() if not name.endswith("num_batches_tracked")}
        for name in [*ours, *(name for name in theirs if name not in ours)]:
            found, wanted = (tuple(d[name].shape) if name in d else "missing" for d in (theirs, ours))
            if found != wanted:
                raise InputError(f"{path}: {name} is {found} in it and {wanted} in this network")
        self.load_state_dict(theirs, strict=False)


class _Block(nn.Module):
    """An inverted residual (section 3.3): widen, filter each channel by itself, narrow, without a rectifier."""

    def __init__(self, read: int, written: int, expansion: int, stride: int, same_padding: bool) -> None:
        super().__init__()
        width = read * expansion
        widen = [_unit(read, width, kernel=1)] if expansion > 1 else []
        self.conv = nn.Sequential(
            *widen,
            _unit(width, width, kernel=3, stride=stride, groups=width, same_padding=same_padding),
            nn.Conv2d(width, written, 1, bias=False),
            nn.BatchNorm2d(written),
        )
        self.adds = stride == 1 and read == written

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.adds else self.conv(x)


class _SameConv2d(nn.Conv2d):
    """A convolution padded to ceil(size / stride) outputs; of an odd number of zeros, the last is right and below."""

    def forward(self, x: Tensor) -> Tensor:
        sides: list[int] = []
        for size, kernel, stride in zip(x.shape[2:], self.kernel_size, self.stride, strict=True):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            sides = [total // 2, total - total // 2, *sides]  # F.pad begins with the last dimension
        return super().forward(F.pad(x, sides))


def _unit(
    read: int, written: int, *, kernel: int, stride: int = 1, groups: int = 1, same_padding: bool = False
) -> nn.Sequential:
    """Convolution, batch normalization, rectifier up to 6."""
    convolution: nn.Conv2d
    if stride > 1 and same_padding:
        convolution = _SameConv2d(read, written, kernel, stride, groups=groups, bias=False)
    else:
        convolution = nn.Conv2d(read, written, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(written), nn.ReLU6(inplace=True))


def _read(path: Path) -> Mapping[str, Tensor]:
    """The tensors of a file by their names; InputError naming it where it holds none."""
    try:
        found: Any = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise InputError(f"{path}: neither safetensors nor a state dictionary of PyTorch: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise InputError(f"{path}: not a state dictionary, names and their tensors")
    return found
