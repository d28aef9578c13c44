"""Images of every kind become square pictures of red, green and blue; what is none is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from asr.data import image_files
from asr.errors import InputError

LEFT, RIGHT = (200, 40, 40), (40, 40, 200)  # of the picture that the tests draw


@pytest.fixture
def picture() -> Image.Image:
    """60 columns and 30 rows, the left half red and the right half blue."""
    pixels = np.zeros((30, 60, 3), np.uint8)
    pixels[:, :30], pixels[:, 30:] = LEFT, RIGHT
    return Image.fromarray(pixels)


def check_halves(image: torch.Tensor, tolerance: int = 0) -> None:
    """Red left and blue right, next to the edges exactly so."""
    assert image.shape == (3, 12, 12) and image.dtype == torch.uint8 and image.is_contiguous()
    for columns, color in ((image[:, :, :4], LEFT), (image[:, :, 8:], RIGHT)):
        assert (columns.int() - torch.tensor(color)[:, None, None]).abs().max() <= tolerance


@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        ("a.png", {}, 0),
        ("a.webp", {"lossless": True}, 0),
        ("a.WEBP", {"quality": 90}, 12),
        ("a.jpg", {"quality": 95, "subsampling": 0}, 4),
        ("a.bmp", {}, 0),
        ("a.tiff", {}, 0),
    ],
)
def test_formats(tmp_path: Path, picture: Image.Image, name: str, options: dict, tolerance: int) -> None:
    picture.save(tmp_path / name, **options)
    check_halves(image_files.read(tmp_path / name, 12), tolerance)
    check_halves(image_files.read(str(tmp_path / name), 12), tolerance)


def test_palette_and_animation(tmp_path: Path, picture: Image.Image) -> None:
    picture.convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "a.png")
    check_halves(image_files.read(tmp_path / "a.png", 12))
    picture.save(tmp_path / "a.gif", save_all=True, append_images=[Image.new("RGB", picture.size, "white")])
    check_halves(image_files.read(tmp_path / "a.gif", 12), tolerance=1)


def test_a_square_of_the_size_is_kept_pixel_by_pixel(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(256, size=(8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert (image_files.read(tmp_path / "a.png", 8).permute(1, 2, 0).numpy() == pixels).all()


def test_grey(tmp_path: Path) -> None:
    Image.new("L", (5, 7), 77).save(tmp_path / "gray.png")
    assert (image_files.read(tmp_path / "gray.png", 4) == 77).all()
    Image.fromarray(np.full((7, 5), 77 * 256 + 200, np.uint16)).save(tmp_path / "sixteen.png")
    assert (image_files.read(tmp_path / "sixteen.png", 4) == 77).all()
    Image.new("1", (5, 7), 1).save(tmp_path / "bit.png")
    assert (image_files.read(tmp_path / "bit.png", 4) == 255).all()
    Image.new("LA", (5, 7), (0, 127)).save(tmp_path / "alpha.png")
    assert (image_files.read(tmp_path / "alpha.png", 4) == 128).all()


def test_transparency_shows_white(tmp_path: Path) -> None:
    Image.new("RGBA", (6, 6), (255, 0, 0, 0)).save(tmp_path / "a.png")
    assert (image_files.read(tmp_path / "a.png", 3) == 255).all()
    Image.new("RGBA", (6, 6), (100, 0, 50, 51)).save(tmp_path / "b.webp", lossless=True)
    expected = [round(255 * 0.8 + value * 0.2) for value in (100, 0, 50)]
    assert image_files.read(tmp_path / "b.webp", 3)[:, 1, 1].tolist() == expected
    palette = Image.new("P", (6, 6), 1)
    palette.putpalette([0, 0, 0, 9, 9, 9])
    palette.save(tmp_path / "c.png", transparency=1)
    assert (image_files.read(tmp_path / "c.png", 3) == 255).all()


def test_exif_orientation(tmp_path: Path, picture: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held so that the picture must be turned by 90 degrees to the right
    picture.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "a.jpg", exif=exif, quality=95, subsampling=0)
    check_halves(image_files.read(tmp_path / "a.jpg", 12), tolerance=4)


def test_large_photographs(tmp_path: Path, picture: Image.Image) -> None:
    picture.resize((1200, 600), Image.Resampling.NEAREST).save(tmp_path / "a.jpg", quality=95, subsampling=0)
    check_halves(image_files.read(tmp_path / "a.jpg", 12), tolerance=4)


def test_files_that_are_no_images(tmp_path: Path, picture: Image.Image) -> None:
    with pytest.raises(InputError, match=r"none\.png: no such file"):
        image_files.read(tmp_path / "none.png", 4)
    with pytest.raises(InputError, match="cannot be read as an image"):
        image_files.read(tmp_path, 4)
    (tmp_path / "text.jpg").write_text("a dog runs")
    with pytest.raises(InputError, match=r"text\.jpg: cannot be read as an image"):
        image_files.read(tmp_path / "text.jpg", 4)
    (tmp_path / "empty.png").touch()
    with pytest.raises(InputError, match=r"empty\.png: cannot be read as an image"):
        image_files.read(tmp_path / "empty.png", 4)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tiff"])
def test_truncated_files(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(256, size=(64, 64, 3), dtype=np.uint8)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    for part in (0.01, 0.3, 0.7):
        path.write_bytes(content[: int(len(content) * part)])
        with pytest.raises(InputError, match=rf"a\.{suffix}: cannot be read as an image"):
            image_files.read(path, 4)
