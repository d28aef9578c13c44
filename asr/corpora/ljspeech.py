"""LJSpeech (Ito & Johnson 2017) and other corpora of its layout: one speaker, ``metadata.csv`` and ``wavs/``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from asr.corpora._files import audio_files, pair
from asr.corpora.download import Archive
from asr.data.manifest import make_cut
from asr.errors import InputError
from asr.utils.text_files import read_lines

if TYPE_CHECKING:
    from lhotse import MonoCut

DOWNLOADS = {
    "LJSpeech-1.1": Archive(
        "https://data.keithito.com/data/speech/LJSpeech-1.1.tar.bz2",
        sha256="be1a30453f28eb8dd26af4101ae40cbf2c50413b1bb21936cbcdc6fae3de8aa5",  # torchaudio's
    )
}


def prepare(root: Path) -> dict[str, list[MonoCut]]:
    """Return one split, ``train``, of lines ``id|text|normalized text``; the last is read, the speaker is the folder.

    Raises:
        InputError: no ``metadata.csv``, a line of another form (it is named), or no audio that belongs to it.
    """
    lists = sorted(Path(os.path.abspath(root)).glob("metadata.csv")) or sorted(root.glob("*/metadata.csv"))
    if len(lists) != 1:
        raise InputError(f"{root}: expected one metadata.csv in it or in one folder below, found {len(lists)}")
    texts: dict[str, str] = {}
    for number, line in enumerate(read_lines(lists[0]), start=1):
        fields = line.strip().split("|")
        if fields == [""]:
            continue
        if len(fields) not in (2, 3) or not fields[0] or fields[0] in texts:
            raise InputError(f"{lists[0]}, line {number}: expected a new id|text|normalized text, got {line[:60]!r}")
        texts[fields[0]] = " ".join((fields[-1] or fields[1]).split())
    folder = lists[0].parent
    audio = audio_files((folder / "wavs").glob("*"))
    return {"train": [make_cut(id, audio[id], texts[id], folder.name) for id in pair(texts, audio, folder)]}
