"""TIMIT (LDC93S1; Garofolo et al. 1993): ten sentences of each of 630 speakers, with times of 61 phone labels.

LDC's layout (``TRAIN|TEST/DR1/FCJF0/SA1.WAV`` in any letter case, SPHERE or RIFF) gives the sets of Graves, Mohamed &
Hinton 2013: 462 training speakers, 50 for development, and the 24 of the core test; the other test speakers are unused.
The sample that NLTK distributes (``dr1-fvmh0/sa1.wav``) has one woman and one man of each dialect: region 7 is ``dev``,
region 8 ``test``. The SA sentences, which all speakers read, are left out.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from asr.corpora._files import key_values, pair
from asr.data.manifest import make_cut
from asr.errors import InputError

if TYPE_CHECKING:
    from lhotse import MonoCut

SAMPLE_RATE = 16000  # of the times in .phn and .wrd, in samples

_CORE_TEST = """
    mdab0 mwbt0 felc0 mtas1 mwew0 fpas0 mjmp0 mlnt0 fpkt0 mlll0 mtls0 fjlm0 mbpm0 mklt0 fnlp0 mcmj0 mjdh0
    fmgd0 mgrt0 mnjm0 fdhc0 mjln0 mpam0 fmld0
"""
CORE_TEST = frozenset(_CORE_TEST.split())
# the development speakers of Kaldi's egs/timit/s5
_DEV = """
    faks0 fdac1 fjem0 mgwt0 mjar0 mmdb1 mmdm2 mpdf0 fcmh0 fkms0 mbdg0 mbwm0 mcsh0 fadg0 fdms0 fedw0 mgjf0
    mglb0 mrtk0 mtaa0 mtdt0 mthc0 mwjg0 fnmr0 frew0 fsem0 mbns0 mmjr0 mdls0 mdlf0 mdvc0 mers0 fmah0 fdrw0
    mrcs0 mrjm4 fcal1 mmwh0 fjsj0 majc0 mjsw0 mreb0 fgjd0 fjmg0 mroa0 mteb0 mjfc0 mrjr0 fmml0 mrws1
"""
DEV = frozenset(_DEV.split())
SAMPLE_SPLITS = {"dr7": "dev", "dr8": "test"}


def prepare(root: Path) -> dict[str, list[MonoCut]]:
    """Return the splits ``train``, ``dev`` and ``test`` with phones, and their times in ``custom["phone_times"]``.

    Times are ``[phone, start, end]`` in seconds, one for each phone.

    Raises:
        InputError: no transcribed sentences below ``root``, no audio for them, or a faulty ``.phn``.
    """
    labels = _by_sentence(root, ".phn")
    audio = _by_sentence(root, ".wav")
    if not labels:
        raise InputError(f"{root}: no TIMIT here (no TRAIN/DR1/FCJF0/SI648.PHN, no dr1-fvmh0/si836.phn)")
    splits: dict[str, list[MonoCut]] = {"train": [], "dev": [], "test": []}
    for id in pair(labels, audio, root):
        split, person = _place(labels[id])
        if split is not None and not id.split("_")[1].startswith("sa"):
            splits[split].append(_cut(id, audio[id], labels[id], person))
    return {name: cuts for name, cuts in splits.items() if cuts}


def _by_sentence(root: Path, suffix: str) -> dict[str, Path]:
    """Map ``fcjf0_sa1`` to its path; ``SA1.WAV.wav``, a duplicate in some copies, is left out."""
    files = (path for path in root.rglob("*") if path.suffix.lower() == suffix and "." not in path.stem)
    return dict(sorted((f"{_place(path)[1]}_{path.stem.lower()}", path) for path in files))


def _place(path: Path) -> tuple[str | None, str]:
    """Return the split (None: unused) and speaker of a sentence's file, from the names of its folders."""
    folder = path.parent.name.lower()
    if sample := re.fullmatch(r"(dr\d)-(\w+)", folder):
        return SAMPLE_SPLITS.get(sample[1], "train"), sample[2]
    if path.parents[2].name.lower() == "train":
        return "train", folder
    return "test" if folder in CORE_TEST else "dev" if folder in DEV else None, folder


def _cut(id: str, audio: Path, labels: Path, person: str) -> MonoCut:
    times = _times(labels)
    return make_cut(
        id,
        audio,
        _text(labels),
        person,
        phones=" ".join(phone for phone, _, _ in times),
        gender=person[0],
        custom={"phone_times": times},
    )


def _times(path: Path) -> list[tuple[str, float, float]]:
    """Read phones with their start and end in seconds, from lines ``start end phone`` in samples."""
    times = []
    for start, rest in key_values(path):
        fields = rest.split()
        if not (start.isdigit() and len(fields) == 2 and fields[0].isdigit()):
            raise InputError(f"{path}: expected 'start end phone', got {f'{start} {rest}'!r}")
        times.append((fields[1].lower(), int(start) / SAMPLE_RATE, int(fields[0]) / SAMPLE_RATE))
    return times


def _text(labels: Path) -> str:
    """Read the sentence from the ``.txt`` beside the ``.phn``: ``0 46797 She had your …``."""
    suffix = ".txt" if labels.suffix.islower() else ".TXT"
    for _, rest in key_values(labels.with_suffix(suffix)):
        return rest.split(maxsplit=1)[-1]
    raise InputError(f"{labels.with_suffix(suffix)}: the file is empty")
