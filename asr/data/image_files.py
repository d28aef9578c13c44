"""Image files as square pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from asr.errors import InputError

# What files in a folder are taken for images by; `read` takes any that Pillow knows.
EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def read(path: str | Path, size: int) -> Tensor:
    """An image in any format that Pillow reads, as RGB (3, size, size) uint8; not cropped but squashed to a square.

    It is turned upright as its EXIF says; what is transparent becomes white; of 16 bits the upper 8 count; of an
    animation the first picture. Raises InputError naming a file that is missing, damaged or no image.
    """
    try:
        with Image.open(path) as image:
            image.draft("RGB", (2 * size, 2 * size))  # JPEG is decoded at a fraction of its size, of at least this one
            picture = _rgb(ImageOps.exif_transpose(image))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except Exception as error:  # whatever Pillow's decoders stumble over
        raise InputError(f"{path}: not an image that can be read: {error}") from error
    squashed = picture.resize((size, size), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(squashed)).permute(2, 0, 1).contiguous()


def _rgb(image: Image.Image) -> Image.Image:
    """The picture in 8 bits of red, green and blue, over white."""
    if image.mode.startswith("I"):  # 16 bits of grey; Pillow's own conversion would clip at 255
        image = Image.fromarray((np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")
