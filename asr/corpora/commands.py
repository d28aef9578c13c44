"""Google's Speech Commands (Warden 2018, arXiv 1804.03209): 35 words by thousands of speakers, a second each.

Version 2 has a folder for each word, ``validation_list.txt`` and ``testing_list.txt``, which name the files of dev and
test, and minutes of background noise.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from asr import audio
from asr.corpora._files import audio_files, key_values
from asr.corpora._splits import recording_fraction
from asr.corpora.download import Archive
from asr.data.manifest import make_cut
from asr.errors import InputError

if TYPE_CHECKING:
    from lhotse import MonoCut

DOWNLOADS = {
    "v0.02": Archive(
        "http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
        sha256="af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
    )
}
WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
UNKNOWN, SILENCE, NOISE = "_unknown_", "_silence_", "_background_noise_"
LISTS = {"dev": "validation_list.txt", "test": "testing_list.txt"}


def prepare(root: Path, words: int = 35, unknown: float = 0.1, silence: bool = False) -> dict[str, list[MonoCut]]:
    """Return the splits ``train``, ``dev`` and ``test``; the text is the word, the speaker the name up to ``_nohash_``.

    Args:
        root: folder of the corpus.
        words: 35 for all words, or 10 for `WORDS` and, as ``_unknown_``, some recordings of the other words.
        unknown: number of those, as a fraction of the ten words' recordings of a split; a hash of the names chooses.
        silence: add the background noise, in segments of a second, as ``_silence_``: eight tenths of each file are
            train, one tenth dev and one test.

    Raises:
        InputError: the layout is another, a list names a missing file, or an option has another value.
    """
    if words not in (10, 35):
        raise InputError(f"words={words} is not one of 10, 35")
    if not (isinstance(unknown, (int, float)) and unknown >= 0):
        raise InputError(f"unknown={unknown}: expected a fraction from 0")
    lists = sorted(root.rglob(LISTS["test"]))
    if len(lists) != 1:
        raise InputError(f"{root}: no Speech Commands here (expected one {LISTS['test']}, found {len(lists)})")
    home = lists[0].parent
    folders = sorted(path for path in home.iterdir() if path.is_dir() and path.name[0] not in "._")
    files = {
        f"{folder.name}/{name}": p for folder in folders for name, p in sorted(audio_files(folder.iterdir()).items())
    }
    split_of = {}
    for split, listed in LISTS.items():
        for line, _ in key_values(home / listed):
            name = line.rpartition(".")[0]
            if name not in files:
                raise InputError(f"{home / listed}: {line} does not exist")
            split_of[name] = split
    splits: dict[str, list[MonoCut]] = {}
    for split in ("train", "dev", "test"):
        names = [name for name in files if split_of.get(name, "train") == split]
        if words == 10:
            names = _ten(names, unknown)
        splits[split] = [_cut(name, files[name], words == 10) for name in names]
    if not splits["train"]:
        raise InputError(f"{home}: no recordings to train on")
    if silence:
        _add_silence(splits, home / NOISE)
    return {split: cuts for split, cuts in splits.items() if cuts}


def _ten(names: list[str], unknown: float) -> list[str]:
    """Choose the ten words' recordings, and others in the proportion ``unknown``."""
    known = [name for name in names if name.partition("/")[0] in WORDS]
    others = [name for name in names if name.partition("/")[0] not in WORDS]
    others.sort(key=lambda name: (recording_fraction(name), name))
    return sorted(known + others[: round(unknown * len(known))])


def _cut(name: str, file: Path, ten: bool) -> MonoCut:
    word, _, recording = name.partition("/")
    return make_cut(name, file, UNKNOWN if ten and word not in WORDS else word, recording.partition("_nohash_")[0])


def _add_silence(splits: dict[str, list[MonoCut]], folder: Path) -> None:
    files = audio_files(folder.iterdir()) if folder.is_dir() else {}
    if not files:
        raise InputError(f"{folder}: no background noise here, which silence=true needs")
    for name, file in sorted(files.items()):
        seconds = int(audio.info(file).duration)
        for second in range(seconds):
            split = "train" if second < 0.8 * seconds else "dev" if second < 0.9 * seconds else "test"
            cut = make_cut(f"{SILENCE}/{name}-{second}", file, SILENCE, start=float(second), duration=1.0)
            splits[split].append(cut)
