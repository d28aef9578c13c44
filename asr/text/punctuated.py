"""Punctuated prose as bare words, each with its written form and the mark behind it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from asr.text.normalization import APOSTROPHES
from asr.text.numbers import spell_numbers
from asr.text.sentences import ABBREVIATIONS

NONE, COMMA, STOP, QUESTION = range(4)
MARKS = ("", ",", ".", "?")

_ABBREVIATED = {form.rstrip(".").lower(): word.lower() for form, word in ABBREVIATIONS.items()}
_DASHES = re.compile(r"[-‐‑]{2,}|[‒–—―]")
_ELLIPSIS = re.compile(r"\.(?: ?\.)+|…")
_TYPOGRAPHY = str.maketrans(dict.fromkeys("_*", "") | dict.fromkeys(APOSTROPHES, "'"))
_SENTENCE_ENDS = re.compile(r"[.!?]['\"”’)\]]*$")
_OPENING = re.compile(r"""[“"](?=\w)|(?<![\w.,!?;:])'+""")
OPENING = "“"
SIGNS = ",;:.!?-" + OPENING
_WORD = re.compile(rf"[^\W_]+(?:'[^\W_]+)*'?|[,;:.!?]+|--|{OPENING}")


@dataclass(frozen=True)
class PunctuatedWord:
    """A word of punctuated text.

    Attributes:
        word: as a recognizer writes it: small letters, no punctuation, abbreviations as they are spoken.
        form: as the text writes it, without the mark.
        mark: index into `MARKS` of what stands behind it; semicolons, colons and dashes are commas, and exclamation
            marks full stops. ``STOP`` and ``QUESTION`` end a sentence.
        begins: whether it begins a sentence or a quotation, so that its capital says nothing.
    """

    word: str
    form: str
    mark: int
    begins: bool = False


def read_prose(lines: Iterable[str]) -> Iterator[list[PunctuatedWord]]:
    """Yield the paragraphs of prose, which blank lines separate; those that do not end a sentence are left out."""
    paragraph: list[str] = []
    for line in [*lines, ""]:
        if line.strip():
            paragraph.append(line.strip())
        elif paragraph:
            text, paragraph = " ".join(paragraph), []
            if _SENTENCE_ENDS.search(text) and not text.isupper():  # no heading
                yield read_paragraph(text)


def read_paragraph(text: str) -> list[PunctuatedWord]:
    """Return the words of punctuated text; its last one ends a sentence if a full stop or the like is behind it.

    A full stop, question mark or exclamation mark before a small letter, as in "Go!" he said, counts as a comma.
    Quotation marks are left out, and numbers are spelled out.
    """
    text = spell_numbers(text.translate(_TYPOGRAPHY))
    text = _OPENING.sub(f" {OPENING} ", _ELLIPSIS.sub(" -- ", _DASHES.sub(" -- ", text)))
    tokens = [*_WORD.findall(text), ""]
    words: list[PunctuatedWord] = []
    begins = True
    at = 0
    while token := tokens[at]:
        at += 1
        if token[0] in SIGNS:
            begins = begins or token == OPENING
            continue
        behind = at
        while tokens[at][:1] in SIGNS and tokens[at] not in ("", OPENING):
            at += 1
        marks, following = "".join(tokens[behind:at]), tokens[at] if tokens[at] != OPENING else tokens[at + 1]
        form, word = token.rstrip("'"), token.rstrip("'").lower()
        if marks.startswith(".") and word in _ABBREVIATED:
            form, word, marks = f"{form}.", _ABBREVIATED[word], marks[1:]
        elif marks == "." and len(form) == 1 and form.isupper() and form != "I":
            marks = ""  # an initial
        mark = _mark(marks, following)
        words.append(PunctuatedWord(word, form, mark, begins))
        begins = mark in (STOP, QUESTION)
    return words


def _mark(signs: str, following: str) -> int:
    """The mark that signs behind a word stand for, before the following word."""
    if not signs:
        return NONE
    if not any(c in signs for c in ".!?") or following[:1].islower():
        return COMMA
    return QUESTION if "?" in signs else STOP
