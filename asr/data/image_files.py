"""Reading image files as square RGB images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from asr.errors import InputError

# files in a folder that are taken for images; `read` accepts any that Pillow knows
EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def read(path: str | Path, size: int) -> Tensor:
    """Read an image in any format of Pillow as RGB, resized to a square without cropping.

    It is rotated as its EXIF data say; transparency becomes white; of 16 bits the upper 8 count; of an animation the
    first frame.

    Args:
        path: an image file.
        size: pixels of a side.

    Returns:
        (3, size, size) uint8.

    Raises:
        InputError: a file that is missing, damaged or no image.
    """
    try:
        with Image.open(path) as image:
            image.draft("RGB", (2 * size, 2 * size))  # JPEG is decoded at a fraction of its size, of at least this one
            rgb = _to_rgb(ImageOps.exif_transpose(image))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except Exception as error:  # Pillow's decoders raise many kinds
        raise InputError(f"{path}: cannot be read as an image: {error}") from error
    square = rgb.resize((size, size), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(square)).permute(2, 0, 1).contiguous()


def _to_rgb(image: Image.Image) -> Image.Image:
    """Convert to 8 bits of red, green and blue, over white."""
    if image.mode.startswith("I"):  # 16 bits of gray; Pillow's own conversion would clip at 255
        image = Image.fromarray((np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")
