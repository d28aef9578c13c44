"""One's own classes: a folder of recordings each, whose name is that of the class."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import TYPE_CHECKING

from asr.corpora._files import audio_files
from asr.data.manifest import make_cut
from asr.errors import InputError

if TYPE_CHECKING:
    from lhotse import MonoCut

SPLITS = {"train": ("train",), "dev": ("dev", "valid", "validation"), "test": ("test",)}


def prepare(root: Path, dev: float = 0.1, test: float = 0.1) -> dict[str, list[MonoCut]]:
    """Splits ``train``, ``dev`` and ``test`` of ``root/CLASS/*.wav`` (or other audio); the text is the class.

    They are the folders ``train``, ``dev`` (or ``valid``) and ``test`` of ``root``, with those of the classes in them,
    if there are such. Otherwise the hash of a file's name decides, so that more files do not move those that were
    there: the shares ``dev`` and ``test`` are expected ones. The hash goes by what is before ``_nohash_`` in a name (as
    in Google's Speech Commands), so that what one speaker says stays together.

    Raises:
        InputError: no folders of audio, a class that only dev or test have, or shares that leave nothing.
    """
    if not (all(isinstance(share, (int, float)) and share >= 0 for share in (dev, test)) and dev + test < 1):
        raise InputError(f"dev={dev}, test={test}: shares from 0, whose sum is below 1, are wanted")
    folders = {split: [root / name for name in names if (root / name).is_dir()] for split, names in SPLITS.items()}
    splits: dict[str, list[MonoCut]] = {split: [] for split in SPLITS}
    if folders["train"]:
        for split, found in folders.items():
            for folder in found:
                splits[split] += (_cut(name, file) for name, file in _recordings(folder))
    else:
        for name, file in _recordings(root):
            share = hash_share(file.stem)
            split = "test" if share < test else "dev" if share < test + dev else "train"
            splits[split].append(_cut(name, file))
    if not splits["train"]:
        raise InputError(
            f"{root}: no recordings to train on (expected {root}/CLASS/*.wav, or {root}/train/CLASS/*.wav)"
        )
    known = {cut.supervisions[0].text for cut in splits["train"]}
    for split, cuts in splits.items():
        if strange := sorted({cut.supervisions[0].text for cut in cuts} - known):
            raise InputError(f"{root}: classes of {split} that train does not have: {', '.join(strange)}")
    return {split: cuts for split, cuts in splits.items() if cuts}


def hash_share(name: str) -> float:
    """A number from 0 to below 1 that a file's name, up to ``_nohash_``, determines and nothing else."""
    digest = hashlib.sha1(name.partition("_nohash_")[0].encode()).digest()
    return math.ldexp(int.from_bytes(digest[:4], "big"), -32)


def _recordings(folder: Path) -> list[tuple[str, Path]]:
    """(class, file) of the folders in a folder, but for hidden ones and those beginning with an underscore."""
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] not in "._")
    return [(path.name, file) for path in classes for _, file in sorted(audio_files(path.iterdir()).items())]


def _cut(name: str, file: Path) -> MonoCut:
    return make_cut(f"{name}/{file.stem}", file, name)
