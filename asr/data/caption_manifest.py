"""Caption manifests: images and their captions."""

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
    manifest_kind,
    records,
    to_manifest_path,
    write_records,
)
from asr.errors import InputError

EXTENSION = ".jsonl"  # of the manifests that `asr prepare` writes
KEYS = ("id", "image", "captions")

_WORD = re.compile(r"'?[^\W_]+(?:-[^\W_]+)*")


@dataclass(frozen=True)
class CaptionedImage:
    """An image file and its captions, each as `tokenize` returns it."""

    id: str
    image: str
    captions: tuple[str, ...]


class CaptionSummary(NamedTuple):
    """Size of a caption manifest."""

    images: int
    captions: int


def tokenize(text: str) -> str:
    """Return the words of a caption, separated by spaces: the form for training and evaluation.

    Words are runs of lower-case letters and digits, with hyphens inside (``t-shirt``). An apostrophe begins a new word
    (``the dog's`` is ``the dog 's``, as in the Penn Treebank). All other characters only separate words, the full stop
    too. Tokenizing twice changes nothing.
    """
    return " ".join(_WORD.findall(unicodedata.normalize("NFKC", text).lower()))


def summary(items: Iterable[CaptionedImage]) -> CaptionSummary:
    """Count the images and their captions."""
    counts = [len(item.captions) for item in items]
    return CaptionSummary(len(counts), sum(counts))


def write(items: Iterable[CaptionedImage], path: str | Path) -> bool:
    """Write JSON lines with the keys id, image and captions to ``.jsonl`` or ``.jsonl.gz``.

    The file is replaced as a whole or not at all; paths are relative if the image lies below the manifest's folder.

    Returns:
        Whether the file changed.

    Raises:
        InputError: no items, two with one id, another extension, or a folder that cannot be written.
    """
    path = Path(path)
    folder = os.path.abspath(path.parent)
    entries = (
        (i.id, dict(zip(KEYS, (i.id, to_manifest_path(i.image, folder), i.captions), strict=True))) for i in items
    )
    return write_records(entries, path, "images")


def read(path: str | Path) -> list[CaptionedImage]:
    """Read a file of `write`, or one of another program: captions are tokenized, and an id may be missing.

    Relative paths start at the manifest's folder or, where there is no such file, at the working directory.

    Raises:
        InputError: a line or image that is missing or faulty; the file and line are named.
    """
    path = Path(path)
    if manifest_kind(path) not in (".jsonl", ".json"):
        raise InputError(f"{path}: the name of a caption manifest ends in .jsonl or .json (also with .gz, .xz or .bz2)")
    items = [(where := f"{path}, line {line}", _parse(record, where, path.parent)) for line, record in records(path)]
    if not items:
        raise InputError(f"{path}: the manifest is empty")
    check_unique((item.id, where) for where, item in items)
    check_files_exist([(where, item.image) for where, item in items], path, "images")
    return [item for _, item in items]


def _parse(record: dict[str, Any] | InputError, where: str, folder: Path) -> CaptionedImage:
    if isinstance(record, InputError):
        raise record
    image, captions = record.get("image"), record.get("captions")
    if not isinstance(image, str) or not image:
        raise InputError(f"{where}: image is {image!r}, expected the path of a file")
    if not isinstance(captions, list) or not captions or not all(isinstance(text, str) for text in captions):
        raise InputError(f"{where}: captions is {captions!r}, expected a list of texts")
    tokenized = tuple(map(tokenize, captions))
    if "" in tokenized:
        raise InputError(f"{where}: there is no word in the caption {captions[tokenized.index('')]!r}")
    id = str(record["id"] if record.get("id") not in (None, "") else os.path.splitext(image)[0])
    return CaptionedImage(id, from_manifest_path(image, folder), tokenized)
