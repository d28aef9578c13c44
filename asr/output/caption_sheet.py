"""Sheets of captions: a page of HTML with images and captions, and pictures of a model's attention."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from PIL import Image, ImageDraw
from torch import Tensor

from asr.data import image_files
from asr.utils.atomic import atomic_path, write_atomic

THUMBNAIL = 240  # pixels
TILE, LINE = 160, 16  # pixels, of a picture of attention
COLUMNS = 6  # tiles in a row of it

STYLE = """
body { font: 15px/1.4 system-ui, sans-serif; margin: 2em; color: #222; background: #fff }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(15em, 1fr)); gap: 1.5em }
figure { margin: 0 } img { width: 100%; max-width: 15em; border-radius: 4px }
figcaption b { display: block } small { color: #666; display: block }
"""


@dataclass(frozen=True)
class Entry:
    """An image of a page: its file, its caption in bold, and lines in small print below."""

    path: str
    caption: str
    notes: Sequence[str] = ()


def write_page(path: Path, sections: Iterable[tuple[str, Sequence[Entry]]]) -> None:
    """Write a page of HTML that needs no other file.

    Args:
        path: the file.
        sections: headings (empty for none), each with its images.

    Raises:
        InputError: an image cannot be read.
    """
    parts = ["<!doctype html>", '<html lang="en"><meta charset="utf-8"><title>Captions</title>']
    parts.append(f"<style>{STYLE}</style>")
    for title, entries in sections:
        parts += [f"<h2>{escape(title)}</h2>"] if title else []
        parts += ["<main>", *map(_figure, entries), "</main>"]
    write_atomic(path, "\n".join([*parts, "</html>", ""]).encode())


def _figure(entry: Entry) -> str:
    notes = "".join(f"<small>{escape(note)}</small>" for note in entry.notes)
    return (
        f'<figure><img src="{thumbnail(entry.path)}" alt="{escape(entry.caption)}">'
        f"<figcaption><b>{escape(entry.caption)}</b>{notes}</figcaption></figure>"
    )


def thumbnail(path: str) -> str:
    """Return an image file as a small JPEG in a ``data:`` URL. Raises InputError if it cannot be read."""
    content = io.BytesIO()
    _picture(path, THUMBNAIL).save(content, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()


def _picture(path: str, size: int) -> Image.Image:
    return Image.fromarray(image_files.read(path, size).permute(1, 2, 0).numpy())


def write_attention(path: Path, image: str, words: Sequence[str], attention: Tensor) -> None:
    """Write a PNG file with the image once for each word, bright where the model attended.

    Args:
        path: the file.
        image: the image file.
        words: of the caption.
        attention: weights (words, rows, columns) of the places of the image.

    Raises:
        InputError: the image cannot be read.
    """
    picture = _picture(image, TILE)
    black = Image.new("RGB", picture.size)
    rows = -(-(len(words) + 1) // COLUMNS)
    canvas = Image.new("RGB", (TILE * min(COLUMNS, len(words) + 1), (TILE + LINE) * rows), "white")
    draw = ImageDraw.Draw(canvas)
    tiles = [("", picture)]
    for word, weights in zip(words, attention, strict=True):
        scaled = (255 * weights / weights.max()).byte().numpy()
        mask = Image.fromarray(scaled).resize(picture.size, Image.Resampling.BICUBIC)
        tiles.append((word, Image.composite(picture, Image.blend(picture, black, 0.75), mask)))
    for number, (word, tile) in enumerate(tiles):
        x, y = TILE * (number % COLUMNS), (TILE + LINE) * (number // COLUMNS)
        canvas.paste(tile, (x, y + LINE))
        draw.text((x + 3, y + 2), word, fill="black")
    with atomic_path(path) as temporary:
        canvas.save(temporary, "PNG")
