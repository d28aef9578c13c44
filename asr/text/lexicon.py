"""Pronouncing dictionaries: reading them, and the phones of a text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from asr.errors import InputError
from asr.text.phones import ARPABET
from asr.utils.text_files import read_text

Lexicon = dict[str, list[tuple[str, ...]]]  # pronunciations, the phones of each, by word


def read_lexicon(path: str | Path, keep_stress: bool = False) -> Lexicon:
    """Read the pronunciations of lower-case words, in the file's order, from CMUdict or a Kaldi ``lexicon.txt``.

    A line is ``word P R O N``, a variant ``word(2) P R O N`` or the word again; ``;;;`` begins a comment line and ``#``
    a remark. If all phones are those of CMUdict they become `asr.text.phones.ARPABET`: lower case and, unless
    ``keep_stress``, without stress digits. Other phone sets stay as they are.

    Args:
        path: UTF-8 or Latin-1 text, plain or compressed.
        keep_stress: keep the stress digits of CMUdict's vowels.

    Raises:
        InputError: not a lexicon; the line is named.
    """
    text = read_text(path, fallback="latin-1")  # of cmudict-0.7b, which has a few French words
    lexicon: Lexicon = {}
    for number, line in enumerate(text.split("\n"), start=1):
        fields = line.split(" #")[0].split()
        if not fields or line.startswith(";;;"):
            continue
        if len(fields) == 1 or re.fullmatch(r"[\d.eE+-]+", fields[1]):  # a number: Kaldi's lexiconp.txt
            raise InputError(f"{path}, line {number}: expected 'word P R O N', got {line.strip()[:60]!r}")
        word = headword(fields[0]).lower()
        lexicon.setdefault(word, []).append(tuple(fields[1:]))
    if not lexicon:
        raise InputError(f"{path}: the lexicon is empty")
    phones = {phone for variants in lexicon.values() for variant in variants for phone in variant}
    if {_plain(phone) for phone in phones} - {"sil", "spn"} <= set(ARPABET):
        names = {phone: phone.lower() if keep_stress else _plain(phone) for phone in phones}
        lexicon = {
            word: [tuple(names[phone] for phone in variant) for variant in variants]
            for word, variants in lexicon.items()
        }
    return lexicon


def headword(entry: str) -> str:
    """Remove the number of a variant from a dictionary's word: read(2) becomes read."""
    return re.sub(r"(?<=.)\(\d+\)$", "", entry)


def _plain(phone: str) -> str:
    return phone.lower().rstrip("012")


def words(text: str) -> list[str]:
    """Split a text into words to look up: lower case, straight apostrophes, dashes as spaces, no other punctuation."""
    text = re.sub(r"--+|[—–]", " ", text.lower().replace("’", "'"))
    stripped = (re.sub(r"[^\w'-]|_", "", word).strip("-") for word in text.split())
    return [word for word in stripped if word.strip("'")]


def pronounce(text: str, lexicon: Mapping[str, list[tuple[str, ...]]]) -> tuple[list[str], list[str]]:
    """Return the phones of a text, by each word's first pronunciation, and the words that have none.

    A word that is not in the lexicon is looked up without the quotation marks around it, then in its hyphenated parts.
    """
    phones: list[str] = []
    unknown: list[str] = []
    for word in words(text):
        if (bare := word if word in lexicon else word.strip("'")) in lexicon:
            parts = [bare]
        else:
            parts = [part for part in bare.split("-") if part]
        for part in parts:
            if part in lexicon:
                phones.extend(lexicon[part][0])
            else:
                unknown.append(part)
    return phones, unknown
