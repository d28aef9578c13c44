"""CMU AN4, the "census" database (Acero 1991): spelled names and numbers, 948 + 130 utterances.

It has one of two layouts, both with lists in ``etc/``: audio below ``wav/`` (the publisher's ``.sph``, ``.wav``, or
headerless ``.raw``, which gets a WAV copy beside it), or Sphinx cepstra below ``feat/``. Spelled letters are words of
one letter.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from asr.corpora._files import audio_files, key_values, pair
from asr.corpora.download import Archive
from asr.data.manifest import make_cut, speaker
from asr.errors import InputError

if TYPE_CHECKING:
    from lhotse import MonoCut

DOWNLOADS = {"an4": Archive("http://www.speech.cs.cmu.edu/databases/an4/an4_sphere.tar.gz")}

# The publisher has no development set: ours is the last eight training speakers by name, with 100 utterances.
DEV_SPEAKERS = frozenset(["mskh", "msmn", "msrb", "mtcv", "mtje", "mtos", "mtxj", "mwhw"])
RAW_SAMPLE_RATE = 16000


def prepare(root: Path) -> dict[str, list[MonoCut]]:
    """Return the splits ``train``, ``dev`` (eight speakers of the publisher's train) and ``test``.

    Raises:
        InputError: a list is missing or faulty, or none of its files exists.
    """
    home = next((folder for folder in (root, root / "an4") if (folder / "etc").is_dir()), None)
    if home is None:
        raise InputError(f"{root}: no AN4 here (no etc/an4_train.fileids)")
    known = _part(home, "train")
    splits = {
        "train": [cut for cut in known if speaker(cut) not in DEV_SPEAKERS],
        "dev": [cut for cut in known if speaker(cut) in DEV_SPEAKERS],
        "test": _part(home, "test"),
    }
    return {name: cuts for name, cuts in splits.items() if cuts}


def clean(transcript: str) -> str:
    """Remove ``<s>``, ``</s>``, ``<sil>``, noises ``++…++`` and variant numbers ``A(2)`` from a transcript."""
    words = (re.sub(r"\(\d+\)$", "", word) for word in transcript.split())
    return " ".join(word for word in words if not re.fullmatch(r"<.*>|\+\+.*\+\+", word))


def _part(home: Path, part: str) -> list[MonoCut]:
    ids = {name.rsplit("/", 1)[-1]: name for name, _ in key_values(home / "etc" / f"an4_{part}.fileids")}
    source = home / "etc" / f"an4_{part}.transcription"
    texts: dict[str, str] = {}
    for first, rest in key_values(source):
        match = re.fullmatch(r"(.*)\(([^()\s]+)\)", f"{first} {rest}".strip())
        if match is None:
            raise InputError(f"{source}: expected 'WORDS (utterance)', got {f'{first} {rest}'[:60]!r}")
        texts[match[2]] = clean(match[1])
    files = _files(home, {Path(name).parent for name in ids.values()})
    listed = {id: files[id] for id in ids if id in files}
    return [_cut(id, listed[id], texts[id]) for id in pair(texts, listed, source)]


def _files(home: Path, folders: set[Path]) -> dict[str, Path]:
    """Find the audio files, or the feature files if there is no ``wav/``, by utterance."""
    if not (home / "wav").is_dir():
        return {file.stem: file for folder in folders for file in (home / "feat" / folder).glob("*.mfc")}
    paths = [path for folder in folders for path in (home / "wav" / folder).glob("*")]
    raw = {path.stem: path for path in paths if path.suffix == ".raw"}
    audio = audio_files(paths)
    return {**{id: _wav_copy(path) for id, path in raw.items() if id not in audio}, **audio}


def _cut(id: str, file: Path, text: str) -> MonoCut:
    if file.suffix == ".mfc":
        return make_cut(id, None, text, file.parent.name, features=file)
    return make_cut(id, file, text, file.parent.name)


def _wav_copy(raw: Path) -> Path:
    """Write a WAV file beside the publisher's raw one, which has 16-bit big-endian samples at 16 kHz."""
    import numpy as np
    import soundfile

    wav = raw.with_suffix(".wav")
    unfinished = raw.with_suffix(".part")
    try:
        samples = np.fromfile(raw, dtype=">i2").astype(np.int16)
        soundfile.write(unfinished, samples, RAW_SAMPLE_RATE, format="WAV")
        unfinished.replace(wav)
    except (OSError, soundfile.LibsndfileError) as error:
        raise InputError(f"{wav}: the WAV copy of {raw.name} cannot be written: {error}") from error
    return wav
