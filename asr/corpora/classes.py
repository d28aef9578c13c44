"""One's own classes: a folder of recordings for each, with the name of the class."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from asr.corpora._files import audio_files
from asr.corpora._splits import recording_fraction, split_by_fraction
from asr.data.manifest import make_cut
from asr.errors import InputError

if TYPE_CHECKING:
    from lhotse import MonoCut

SPLITS = {"train": ("train",), "dev": ("dev", "valid", "validation"), "test": ("test",)}


def prepare(root: Path, dev: float = 0.1, test: float = 0.1) -> dict[str, list[MonoCut]]:
    """Return the splits ``train``, ``dev``, ``test`` of ``root/CLASS/*.wav`` (or other audio); the text is the class.

    If ``root`` has folders ``train``, ``dev`` (or ``valid``) and ``test``, with those of the classes in them, they are
    the splits. Otherwise a hash of each file's name chooses its split (see `recording_fraction`), so that new files do
    not move old ones.

    Args:
        root: folder of the classes, or of the splits.
        dev: expected fraction of the recordings in dev.
        test: expected fraction of the recordings in test.

    Raises:
        InputError: no folders of audio, a class that only dev or test have, or fractions that leave nothing.
    """
    if not (all(isinstance(share, (int, float)) and share >= 0 for share in (dev, test)) and dev + test < 1):
        raise InputError(f"dev={dev}, test={test}: expected fractions from 0 with a sum below 1")
    folders = {split: [root / name for name in names if (root / name).is_dir()] for split, names in SPLITS.items()}
    splits: dict[str, list[MonoCut]] = {split: [] for split in SPLITS}
    if folders["train"]:
        for split, paths in folders.items():
            for folder in paths:
                splits[split] += (_cut(name, file) for name, file in _recordings(folder))
    else:
        for name, file in _recordings(root):
            splits[split_by_fraction(recording_fraction(file.stem), dev, test)].append(_cut(name, file))
    if not splits["train"]:
        raise InputError(
            f"{root}: no recordings to train on (expected {root}/CLASS/*.wav, or {root}/train/CLASS/*.wav)"
        )
    known = {cut.supervisions[0].text for cut in splits["train"]}
    for split, cuts in splits.items():
        if strange := sorted({cut.supervisions[0].text for cut in cuts} - known):
            raise InputError(f"{root}: classes of {split} that train does not have: {', '.join(strange)}")
    return {split: cuts for split, cuts in splits.items() if cuts}


def _recordings(folder: Path) -> list[tuple[str, Path]]:
    """List (class, file) of the folders in a folder, except hidden ones and those that begin with an underscore."""
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] not in "._")
    return [(path.name, file) for path in classes for _, file in sorted(audio_files(path.iterdir()).items())]


def _cut(name: str, file: Path) -> MonoCut:
    return make_cut(f"{name}/{file.stem}", file, name)
