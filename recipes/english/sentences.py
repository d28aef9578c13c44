"""Write the sentences of books, and further lines of text, as training text of a language model: one a line.

python recipes/english/sentences.py data/rescoring/train.txt novels/*.txt.xz --lines transcripts.txt train.jsonl.gz
python recipes/english/sentences.py data/rescoring/books.txt books/*.txt --lines transcripts.txt train.jsonl.gz \
      --words 21800000 --unlike dev.jsonl.gz
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from asr.data.lm_text import read_sentences
from asr.utils.atomic import atomic_path

LONGEST = 100  # words of a sentence of a book
COMMON = 8  # words in a row that are not there by chance


def sequences(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield all sequences of `COMMON` words."""
    return zip(*(words[start:] for start in range(COMMON)), strict=False)


def unlike(sentences: Iterable[list[str]], others: Iterable[list[str]]) -> Iterator[list[str]]:
    """Yield the sentences that have no sequence of `COMMON` words in common with others."""
    known = set(chain.from_iterable(map(sequences, others)))
    return (words for words in sentences if known.isdisjoint(sequences(words)))


def drawn(books: Iterable[list[str]], lines: Sequence[list[str]], words: int) -> list[list[str]]:
    """Return all lines and random sentences of the books, in random order, until there are ``words`` words."""
    sentences = [sentence for sentence in books if 2 <= len(sentence) <= LONGEST]
    random.Random(1).shuffle(sentences)
    text, left = list(lines), words - sum(map(len, lines))
    while sentences and left > 0:
        text.append(sentences.pop())
        left -= len(text[-1])
    random.Random(2).shuffle(text)
    return text


def main() -> None:
    """Write normalized sentences; numbers in books are spelled as words."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("books", nargs="+", help="text files, plain or compressed; blank lines separate paragraphs")
    parser.add_argument("--lines", nargs="*", default=[], help="text files with a sentence a line, and manifests")
    parser.add_argument(
        "--words", type=int, help="number of words: draws sentences of the books; default: all, in order"
    )
    parser.add_argument("--unlike", nargs="*", default=[], help="files whose sequences of 8 words must not occur")
    options = parser.parse_args()
    others = list(read_sentences(options.unlike))
    books = unlike(read_sentences(options.books, prose=True, spell=True), others)
    lines = list(unlike(read_sentences(options.lines), others))
    text = chain(books, lines) if options.words is None else drawn(books, lines, options.words)
    with atomic_path(options.output) as path, path.open("w", encoding="utf-8") as file:
        file.writelines(" ".join(words) + "\n" for words in text)


if __name__ == "__main__":
    main()
