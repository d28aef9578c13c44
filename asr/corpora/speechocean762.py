"""speechocean762 (Zhang et al. 2021, OpenSLR 101): English read by Mandarin speakers, half of them children.

The text is the prompt, not a transcript of the speech. ``train/`` and ``test/`` have Kaldi's files; ``wav.scp`` names
audio relative to the corpus. Audio is looked up by its name without extension, so that re-encoded copies are found.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from asr.corpora._files import audio_files, key_values, pair
from asr.corpora.download import Archive
from asr.data.manifest import make_cut, speaker
from asr.errors import InputError

if TYPE_CHECKING:
    from lhotse import MonoCut

DOWNLOADS = {"speechocean762": Archive("https://www.openslr.org/resources/101/speechocean762.tar.gz")}

# The publisher has no development set: ours is the last 12 speakers of train by number.
DEV_SPEAKERS = frozenset(
    ["9616", "9619", "9624", "9625", "9628", "9630", "9634", "9639", "9643", "9645", "9646", "9649"]
)
ADULT_AGE = 18


def prepare(root: Path) -> dict[str, list[MonoCut]]:
    """Return the splits ``train``, ``dev`` (12 speakers of the publisher's train) and ``test``.

    Supervisions have the gender and, in ``custom``, ``age`` in years and ``child`` (boolean).

    Raises:
        InputError: a list is missing, or names no audio that exists.
    """
    home = next((folder for folder in (root, root / "speechocean762") if (folder / "train" / "text").is_file()), None)
    if home is None:
        raise InputError(f"{root}: no speechocean762 here (no train/text)")
    audio = audio_files(home.glob("WAVE/*/*"))
    known = _part(home, "train", audio)
    splits = {
        "train": [cut for cut in known if speaker(cut) not in DEV_SPEAKERS],
        "dev": [cut for cut in known if speaker(cut) in DEV_SPEAKERS],
        "test": _part(home, "test", audio),
    }
    return {name: cuts for name, cuts in splits.items() if cuts}


def _part(home: Path, part: str, audio: dict[str, Path]) -> list[MonoCut]:
    folder = home / part
    texts, speakers = dict(key_values(folder / "text")), dict(key_values(folder / "utt2spk"))
    # a copy may lack age and gender
    ages, genders = (
        dict(key_values(file)) if (file := folder / name).is_file() else {} for name in ("spk2age", "spk2gender")
    )
    listed = {id: audio[stem] for id, name in key_values(folder / "wav.scp") if (stem := Path(name).stem) in audio}
    cuts = []
    for id in pair(texts, listed, folder):
        if id not in speakers:
            raise InputError(f"{folder / 'utt2spk'}: no speaker for {id}")
        name = speakers[id]
        age = {"age": int(ages[name]), "child": int(ages[name]) < ADULT_AGE} if name in ages else None
        cuts.append(make_cut(id, listed[id], texts[id], name, gender=genders.get(name), custom=age))
    return cuts
