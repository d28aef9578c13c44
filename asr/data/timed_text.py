"""A text with its times in a recording, and the choice among the tiers of a file that has several."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from asr.errors import InputError

# Tiers of words, phones and the like are no tiers of utterances; "Ann - words" is one too (Montreal Forced Aligner).
_PARTS = re.compile(
    r"(?:.*[-_:. ])?\s*(?:words?|tokens?|phones?|phonemes?|segments?|syllables?|mau|kan|pos|lemmas?|tones?|breaks?)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class TimedText:
    """A text with its times in a recording.

    Attributes:
        start: in seconds.
        end: in seconds.
        text: with single spaces.
        speaker: as the file names it; empty where it does not.
        line: of the file, from 1; 0 where it has no lines to name.
        recording: its name in a file that names it; empty elsewhere.
        channel: as a file names it that has segments of several channels; empty elsewhere.
    """

    start: float
    end: float
    text: str
    speaker: str = ""
    line: int = 0
    recording: str = ""
    channel: str = ""


def choose_tier(path: Path, tiers: Mapping[str, Sequence[TimedText]], tier: str) -> list[TimedText]:
    """Return the texts of one tier of a file, or those of all that have utterances, with the tiers as speakers.

    Args:
        path: of the file, for messages.
        tiers: texts by tier.
        tier: the tier; "": all but those of words, phones and other parts of utterances.

    Raises:
        InputError: there is no such tier, or only tiers of parts.
    """
    if tier:
        if tier not in tiers:
            raise InputError(f"{path}: no tier {tier!r} (there are {', '.join(map(repr, tiers)) or 'none'})")
        return list(tiers[tier])
    chosen = {name: texts for name, texts in tiers.items() if texts and not _PARTS.fullmatch(name)}
    if not chosen and any(tiers.values()):
        names = ", ".join(map(repr, tiers))
        raise InputError(f"{path}: which of the tiers {names} has utterances? Give it with --option tier=NAME")
    if len(chosen) == 1:
        return list(next(iter(chosen.values())))
    return [replace(text, speaker=text.speaker or name) for name, texts in chosen.items() for text in texts]
