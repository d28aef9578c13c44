"""Manifests of images and what people say of them."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from asr.data.manifest_files import (
    check_files_exist,
    check_unique,
    from_manifest_path,
    records,
    to_manifest_path,
    write_records,
)
from asr.errors import InputError

EXTENSION = ".jsonl"  # of the manifests that are made of a corpus
KEYS = ("id", "image", "captions")

_WORD = re.compile(r"'?[^\W_]+(?:-[^\W_]+)*")


@dataclass(frozen=True)
class CaptionedImage:
    """An image file and its captions, each as `tokenize` leaves it."""

    id: str
    image: str
    captions: tuple[str, ...]


class CaptionSummary(NamedTuple):
    """Size of a manifest."""

    images: int
    captions: int


def tokenize(text: str) -> str:
    """The words of a caption, separated by blanks; what all captions are trained on and compared by.

    Words are runs of lower-case letters and digits, with hyphens inside (``t-shirt``). An apostrophe begins a new one
    (``the dog's`` is ``the dog 's``, as in the Penn Treebank). All other characters only separate words, the full stop
    too. What is tokenized stays as it is.
    """
    return " ".join(_WORD.findall(unicodedata.normalize("NFKC", text).lower()))


def summary(items: Iterable[CaptionedImage]) -> CaptionSummary:
    """How many images, and captions of them all."""
    counts = [len(item.captions) for item in items]
    return CaptionSummary(len(counts), sum(counts))


def write(items: Iterable[CaptionedImage], path: str | Path) -> bool:
    """Write lines of JSON with the keys id, image and captions to ``.jsonl`` or ``.jsonl.gz``.

    As `asr.data.manifest.write` does: at once, unless the file has these contents already; paths relative where the
    image lies below the manifest's folder. Returns whether the file changed, raises InputError.
    """
    path = Path(path)
    folder = os.path.abspath(path.parent)
    written = (
        (i.id, dict(zip(KEYS, (i.id, to_manifest_path(i.image, folder), i.captions), strict=True))) for i in items
    )
    return write_records(written, path, "images")


def read(path: str | Path) -> list[CaptionedImage]:
    """Read what `write` has written, or lines like those by others: captions are tokenized, an id may be missing.

    Relative paths start at the manifest's folder or, where there is no such file, at the working directory. Every image
    is checked to exist. Raises InputError naming the file and line of what cannot be understood or is not there.
    """
    path = Path(path)
    if not path.name.endswith((".jsonl", ".jsonl.gz")):
        raise InputError(f"{path}: a manifest of captions is .jsonl or .jsonl.gz")
    found = {f"{path}, line {line}": record for line, record in records(path)}
    if not found:
        raise InputError(f"{path}: is empty")
    items = [(where, _parse(record, where, path.parent)) for where, record in found.items()]
    check_unique((item.id, where) for where, item in items)
    check_files_exist([(where, item.image) for where, item in items], path, "images")
    return [item for _, item in items]


def _parse(record: dict[str, Any], where: str, folder: Path) -> CaptionedImage:
    image, captions = record.get("image"), record.get("captions")
    if not isinstance(image, str) or not image:
        raise InputError(f"{where}: image is {image!r}, expected the path of a file")
    if not isinstance(captions, list) or not captions or not all(isinstance(text, str) for text in captions):
        raise InputError(f"{where}: captions is {captions!r}, expected a list of texts")
    tokenized = tuple(map(tokenize, captions))
    if "" in tokenized:
        raise InputError(f"{where}: there is no word in the caption {captions[tokenized.index('')]!r}")
    id = str(record.get("id") or os.path.splitext(image)[0])
    return CaptionedImage(id, from_manifest_path(image, folder), tokenized)
