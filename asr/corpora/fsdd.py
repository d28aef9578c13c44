"""Free Spoken Digit Dataset (Jackson): single English digits at 8 kHz, files ``{digit}_{speaker}_{take}``.

The test set is the publisher's: takes 0–4 of every speaker and digit. There is no development set; ours is takes 5–9.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from asr.corpora._files import audio_files
from asr.corpora.download import Archive
from asr.data.manifest import make_cut
from asr.errors import InputError
from asr.utils.options import check_choice

if TYPE_CHECKING:
    from lhotse import MonoCut

# the archive is made on demand, so there is no lasting checksum
_HOME = "https://github.com/Jakobovski/free-spoken-digit-dataset"
DOWNLOADS = {"fsdd": Archive(f"{_HOME}/archive/refs/heads/master.tar.gz")}

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def prepare(root: Path, test_speaker: str = "") -> dict[str, list[MonoCut]]:
    """Return the splits ``train``, ``dev`` and ``test``; the text is the digit's English name.

    Args:
        root: folder of the corpus.
        test_speaker: the test set is all recordings of this speaker; takes 5–9 of the others are dev, the rest train.

    Raises:
        InputError: no recordings with names of this form below ``root``, or none of that speaker.
    """
    splits: dict[str, list[MonoCut]] = {"train": [], "dev": [], "test": []}
    for name, file in sorted(audio_files(root.rglob("*")).items()):
        if match := re.fullmatch(r"(\d)_([^_]+)_(\d+)", name):
            digit, speaker, take = match.groups()
            tested = speaker == test_speaker if test_speaker else int(take) < 5
            split = "test" if tested else "dev" if 5 <= int(take) < 10 else "train"
            splits[split].append(make_cut(name, file, DIGITS[int(digit)], speaker))
    if not any(splits.values()):
        raise InputError(f"{root}: no FSDD here (no audio named like 7_jackson_32.wav)")
    if not splits["test"] and test_speaker:
        speakers = sorted({cut.supervisions[0].speaker for cuts in splits.values() for cut in cuts})
        check_choice("test_speaker", test_speaker, speakers)
    return {name: cuts for name, cuts in splits.items() if cuts}
