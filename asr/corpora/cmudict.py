"""The CMU pronouncing dictionary as pairs: a word's spelling, and its phones with stress.

It has no splits of its own; ours go by a hash of the word, so that they are the same in every release: a tenth of the
words is test, a fiftieth dev.
"""

from __future__ import annotations

import hashlib
import logging
import re
from pathlib import Path

from asr.data.pairs import ParallelTexts
from asr.errors import InputError
from asr.text.lexicon import read_lexicon

log = logging.getLogger(__name__)

KIND = "pairs"
NAMES = ("cmudict.dict", "cmudict-0.7b", "cmudict")


def prepare(root: Path) -> dict[str, ParallelTexts]:
    """Splits ``train``, ``dev`` and ``test`` of the dictionary in a folder (or of the file itself).

    Words are of the letters a to z, apostrophes, hyphens and full stops; how many others there are is logged. Raises
    InputError where there is no dictionary.
    """
    files = [root] if root.is_file() else [root / name for name in NAMES if (root / name).is_file()]
    if not files:
        raise InputError(f"{root}: none of {', '.join(NAMES)} is in it")
    splits: dict[str, ParallelTexts] = {"train": {}, "dev": {}, "test": {}}
    lexicon = read_lexicon(files[0], keep_stress=True)
    usable = {word: phones for word, phones in lexicon.items() if re.fullmatch(r"[a-z'.-]*[a-z][a-z'.-]*", word)}
    if left_out := len(lexicon) - len(usable):
        log.info("%s: %d words with other characters are left out", files[0], left_out)
    for word, variants in usable.items():
        splits[split_of(word)][word] = [" ".join(phones) for phones in dict.fromkeys(variants)]
    return splits


def split_of(word: str) -> str:
    """Which split a word is in."""
    share = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big") / 2**32
    return "test" if share < 0.1 else "dev" if share < 0.12 else "train"
