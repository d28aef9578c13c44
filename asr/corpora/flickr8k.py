"""Flickr8k (Hodosh, Young & Hockenmaier 2013): photographs with five captions each."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from asr.data.caption_manifest import CaptionedImage, tokenize
from asr.data.image_files import EXTENSIONS
from asr.errors import InputError
from asr.utils.text_files import read_lines

log = logging.getLogger(__name__)

KIND = "captions"
CAPTIONS = "Flickr8k.token.txt"
LISTS = {
    "train": "Flickr_8k.trainImages.txt",
    "dev": "Flickr_8k.devImages.txt",
    "test": "Flickr_8k.testImages.txt",
}


def prepare(root: Path) -> dict[str, list[CaptionedImage]]:
    """Return the official splits ``train``, ``dev`` and ``test``. Images may be in any folder below, in any format.

    Images of the lists that are missing are left out, with a warning; so are captions of images in no list, of which
    the publisher has some.

    Raises:
        InputError: no caption file, a faulty line of it or of a list (it is named), or no image at all.
    """
    lists = sorted(root.rglob(CAPTIONS))
    if len(lists) != 1:
        raise InputError(f"{root}: no Flickr8k here (expected one {CAPTIONS} in it or below, found {len(lists)})")
    captions = _captions(lists[0])
    images = {path.stem: path for path in sorted(root.rglob("*")) if path.suffix.lower() in EXTENSIONS}
    listed = {split: _listed(lists[0].with_name(name), captions) for split, name in LISTS.items()}
    everything = [id for ids in listed.values() for id in ids]
    missing = [id for id in everything if id not in images]
    if len(missing) == len(everything):
        raise InputError(f"{root}: none of the {len(everything)} images in the lists exists")
    if missing:
        message = "%s: %d of %d images in the lists are missing and were left out (the first: %s)"
        log.warning(message, root, len(missing), len(everything), missing[0])
    splits = {
        split: [CaptionedImage(id, str(images[id]), tuple(captions[id])) for id in ids if id in images]
        for split, ids in listed.items()
    }
    return {split: items for split, items in splits.items() if items}


def _captions(path: Path) -> dict[str, list[str]]:
    """Read captions by image from lines ``name.jpg#0<TAB>text``. One name there is ``2258277193_586949ec62.jpg.1``."""
    captions: dict[str, list[str]] = {}
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        match = re.fullmatch(r"([^\s.#]+)\.\S+#\d+\t(.*)", line)
        if not match or not (caption := tokenize(match[2])):
            raise InputError(f"{path}, line {number}: expected name.jpg#number, a tab and a caption, got {line[:60]!r}")
        captions.setdefault(match[1], []).append(caption)
    return captions


def _listed(path: Path, captions: dict[str, list[str]]) -> list[str]:
    """Read the images of a list, without their extension."""
    ids = []
    for number, line in enumerate(read_lines(path), start=1):
        if name := line.strip():
            if (id := name.partition(".")[0]) not in captions:
                raise InputError(f"{path}, line {number}: {name} has no captions in {CAPTIONS}")
            ids.append(id)
    return ids
