"""The CMU pronouncing dictionary as pairs: the spelling of a word, and its phones with stress.

It has no splits; ours depend on a hash of the word, so that they are the same in every release: a tenth of the words is
test, a fiftieth dev.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

from asr.corpora._splits import hash_fraction, split_by_fraction
from asr.data.pairs import ParallelTexts
from asr.errors import InputError
from asr.text.lexicon import read_lexicon

log = logging.getLogger(__name__)

KIND = "pairs"
NAMES = ("cmudict.dict", "cmudict-0.7b", "cmudict")


def prepare(root: Path) -> dict[str, ParallelTexts]:
    """Return the splits ``train``, ``dev`` and ``test`` of the dictionary in a folder (or of the file itself).

    Words of other characters than the letters a to z, apostrophes, hyphens and full stops are left out; their number is
    logged.

    Raises:
        InputError: there is no dictionary.
    """
    files = [root] if root.is_file() else [root / name for name in NAMES if (root / name).is_file()]
    if not files:
        raise InputError(f"{root}: no CMU dictionary here (none of {', '.join(NAMES)})")
    splits: dict[str, ParallelTexts] = {"train": {}, "dev": {}, "test": {}}
    lexicon = read_lexicon(files[0], keep_stress=True)
    usable = {word: phones for word, phones in lexicon.items() if re.fullmatch(r"[a-z'.-]*[a-z][a-z'.-]*", word)}
    if left_out := len(lexicon) - len(usable):
        log.info("%s: %d words with other characters are left out", files[0], left_out)
    for word, variants in usable.items():
        splits[split_of(word)][word] = [" ".join(phones) for phones in dict.fromkeys(variants)]
    return splits


def split_of(word: str) -> str:
    """Return the split of a word."""
    return split_by_fraction(hash_fraction(word), dev=0.02, test=0.1)
