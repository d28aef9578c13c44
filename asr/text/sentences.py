"""Books as a language model wants them: a sentence at a time, as it would be read aloud."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

SPOKEN = {"Mr.": "Mister", "Mrs.": "Missus", "Messrs.": "Messieurs", "Dr.": "Doctor", "St.": "Saint", "Esq.": "Esquire"}
_SPOKEN = re.compile(r"(?<!\w)(" + "|".join(map(re.escape, SPOKEN)) + ")")
# a full stop, question or exclamation mark, with what closes quotations and brackets, before what can begin a sentence;
# but not behind an initial
_END = re.compile(r"""(?<!\b[A-Z])([.!?]["'”’)\]]*)\s+(?=["'“‘(\[]*[A-Z0-9])""")
# quotation marks that look like apostrophes, around words
_QUOTES = re.compile(r"(?<!\w)'+|'+(?!\w)")


def sentences(lines: Iterable[str]) -> Iterator[str]:
    """The sentences of prose in lines; blank lines part its paragraphs."""
    paragraph: list[str] = []
    for line in lines:
        if line.strip():
            paragraph.append(line.strip())
        elif paragraph:
            yield from _split(" ".join(paragraph))
            paragraph = []
    if paragraph:
        yield from _split(" ".join(paragraph))


def _split(paragraph: str) -> Iterator[str]:
    text = _SPOKEN.sub(lambda match: SPOKEN[match[1]], paragraph)
    for sentence in _END.sub("\\1\n", text).split("\n"):
        yield _QUOTES.sub(" ", re.sub("[’‘]", "'", sentence))
