"""Sentence splitting of books for language models: one sentence a line, as it would be read aloud."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

ABBREVIATIONS = {
    "Mr.": "Mister",
    "Mrs.": "Missus",
    "Messrs.": "Messieurs",
    "Dr.": "Doctor",
    "St.": "Saint",
    "Esq.": "Esquire",
}
_ABBREVIATION = re.compile(r"(?<!\w)(" + "|".join(map(re.escape, ABBREVIATIONS)) + ")")
# a full stop, question or exclamation mark, with closing quotation marks and brackets, before what can begin a
# sentence; but not after an initial
_SENTENCE_END = re.compile(r"""(?<!\b[A-Z])([.!?]["'”’)\]]*)\s+(?=["'“‘(\[]*[A-Z0-9])""")
# quotation marks that look like apostrophes, around words
_QUOTES = re.compile(r"(?<!\w)'+|'+(?!\w)")


def split_sentences(lines: Iterable[str]) -> Iterator[str]:
    """Yield the sentences of prose; blank lines separate its paragraphs, and `ABBREVIATIONS` are written out."""
    paragraph: list[str] = []
    for line in lines:
        if line.strip():
            paragraph.append(line.strip())
        elif paragraph:
            yield from _split_paragraph(" ".join(paragraph))
            paragraph = []
    if paragraph:
        yield from _split_paragraph(" ".join(paragraph))


def _split_paragraph(paragraph: str) -> Iterator[str]:
    text = _ABBREVIATION.sub(lambda match: ABBREVIATIONS[match[1]], paragraph)
    for sentence in _SENTENCE_END.sub("\\1\n", text).split("\n"):
        yield _QUOTES.sub(" ", re.sub("[’‘]", "'", sentence))
