"""Hot words as people give them: an option of the command line, a file, a string, a list or a mapping."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from numbers import Real
from pathlib import Path
from typing import TypeAlias

from asr.errors import InputError
from asr.utils.text_files import read_text

HOTWORD_BONUS = 1.5  # natural log


class HotWordsError(InputError):
    """None of the hot words can be written with the model's labels, or pronounced by its dictionary."""


HotWords: TypeAlias = Mapping[str, float | None] | str | Iterable[str] | Path


def parse_hotwords(hotwords: HotWords | None, name: str = "hotwords") -> dict[str, float]:
    """Return words and phrases with what each adds to the score (natural log).

    Args:
        hotwords: a mapping of words or phrases to scores (None: `HOTWORD_BONUS`); a string of entries ``word`` or
            ``some words=2`` with commas between them; a list of entries; or a `Path`, see `read_hotwords`.
        name: of the option, for messages.

    Raises:
        InputError: another type, a score that is not a finite number, an entry without a word, or a file that cannot be
            read.
    """
    if hotwords is None:
        return {}
    if isinstance(hotwords, Path):
        return read_hotwords(hotwords)
    if isinstance(hotwords, Mapping):
        return dict(_checked(word, bonus, name) for word, bonus in hotwords.items())
    if isinstance(hotwords, str):
        entries: Iterable[str] = [entry for entry in hotwords.split(",") if entry.strip()]
        if not entries and hotwords:
            raise InputError(f"{name}: {hotwords!r} has no word in it")
    elif isinstance(hotwords, Iterable) and not isinstance(hotwords, (bytes, bytearray)):
        entries = hotwords
    else:
        raise InputError(
            f"{name}={hotwords!r}: use words with commas between them, a list of words, or a mapping of words to scores"
        )
    return dict(parse_entry(entry, name) for entry in entries)


def read_hotwords(path: Path) -> dict[str, float]:
    """Read a file with a word or phrase a line, each with ``=score`` behind it or not (also a tab and the score).

    Empty lines, and those that begin with #, are skipped. Of a word that is there twice the last score counts.

    Raises:
        InputError: a file that cannot be read or has no words, or a line that is not an entry.
    """
    hotwords: dict[str, float] = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            word, tab, bonus = line.strip().rpartition("\t")
            entry = f"{word}={bonus}" if tab and "=" not in line else line
            hotwords |= [parse_entry(entry, f"{path}, line {number}")]
    if not hotwords:
        raise InputError(f"{path}: has no hot words; write a word or phrase a line")
    return hotwords


def parse_entry(entry: str, name: str = "hotwords") -> tuple[str, float]:
    """Return the word or phrase and the score of an entry: ``word`` or ``word=score``.

    Raises:
        InputError: an entry that is not a string, without a word, or with a score that is not a finite number.
    """
    if not isinstance(entry, str):
        raise InputError(f"{name}: {entry!r} is not a word; use strings, or a mapping of words to scores")
    word, equals, bonus = entry.rpartition("=") if "=" in entry else (entry, "", "")
    if not equals:
        return _checked(word, None, name)
    try:
        score = float(bonus)
    except ValueError:
        raise InputError(f"{name} {entry.strip()}: use a number after =") from None
    return _checked(word, score, name)


def _checked(word: object, bonus: object, name: str) -> tuple[str, float]:
    if not isinstance(word, str) or not word.strip():
        raise InputError(f"{name}: {word!r} is not a word or phrase")
    if bonus is None:
        bonus = HOTWORD_BONUS
    if not isinstance(bonus, Real) or isinstance(bonus, bool) or not math.isfinite(bonus):
        raise InputError(f"{name}: {word}={bonus!r}: use a finite number, the score (natural log) that it adds")
    return " ".join(word.split()), float(bonus)
