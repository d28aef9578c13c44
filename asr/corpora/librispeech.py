"""LibriSpeech (Panayotov et al. 2015) and its mini subset: read English books, OpenSLR 12 and 31.

A split has folders ``<subset>/<speaker>/<chapter>`` with ``*.trans.txt`` and audio of any format, so that re-encoded
copies of the corpus can be read too.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from asr.corpora._files import audio_files, key_values, pair
from asr.corpora.download import Archive
from asr.data.manifest import make_cut
from asr.errors import InputError

if TYPE_CHECKING:
    from lhotse import MonoCut

_FULL, _MINI = "https://www.openslr.org/resources/12", "https://www.openslr.org/resources/31"
# The publisher's md5sum.txt of both collections.
DOWNLOADS = {
    "train-clean-5": Archive(f"{_MINI}/train-clean-5.tar.gz", md5="5df7d4e78065366204ca6845bb08f490"),
    "dev-clean-2": Archive(f"{_MINI}/dev-clean-2.tar.gz", md5="6d7ab67ac6a1d2c993d050e16d61080d"),
    "dev-clean": Archive(f"{_FULL}/dev-clean.tar.gz", md5="42e2234ba48799c1f50f24a7926300a1"),
    "dev-other": Archive(f"{_FULL}/dev-other.tar.gz", md5="c8d0bcc9cca99d4f8b62fcc847357931"),
    "test-clean": Archive(f"{_FULL}/test-clean.tar.gz", md5="32fa31d27d2e1cad72775fee3f4849a9"),
    "test-other": Archive(f"{_FULL}/test-other.tar.gz", md5="fb5a50374b501bb3bac4815ee91d3135"),
    "train-clean-100": Archive(f"{_FULL}/train-clean-100.tar.gz", md5="2a93770f6d5c6c964bc36631d331a522"),
    "train-clean-360": Archive(f"{_FULL}/train-clean-360.tar.gz", md5="c0e676e450a7ff2f54aeade5171606fa"),
    "train-other-500": Archive(f"{_FULL}/train-other-500.tar.gz", md5="d1a0fd59409feb2c614ce4d30c387708"),
}


def prepare(root: Path) -> dict[str, list[MonoCut]]:
    """Return every subset below ``root`` as a split with the name of its folder.

    Raises:
        InputError: no transcripts, or none that belongs to an audio file.
    """
    files = sorted(Path(os.path.abspath(root)).rglob("*.trans.txt"))
    if not files:
        raise InputError(f"{root}: no LibriSpeech here (no <subset>/<speaker>/<chapter>/*.trans.txt)")
    chapters: dict[str, list[Path]] = {}
    for file in files:
        chapters.setdefault(file.parents[2].name, []).append(file)
    return {subset: _subset(root / subset, paths) for subset, paths in sorted(chapters.items())}


def _subset(where: Path, chapters: list[Path]) -> list[MonoCut]:
    texts: dict[str, str] = {}
    audio: dict[str, Path] = {}
    for chapter in chapters:
        texts.update(key_values(chapter))
        audio.update(audio_files(chapter.parent.iterdir()))
    return [make_cut(id, audio[id], texts[id], id.split("-")[0]) for id in pair(texts, audio, where)]
