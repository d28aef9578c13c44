"""Read the text that n-gram language models are estimated from and scored on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

from asr.data.texts import read_texts
from asr.errors import InputError
from asr.lm.estimate import characters_of
from asr.text.lexicon import headword
from asr.text.normalization import TextNormalizer
from asr.text.sentences import split_sentences
from asr.utils.text_files import read_lines


def read_sentences(
    paths: Iterable[str | Path],
    *,
    normalization: str = "english",
    characters: bool = False,
    prose: bool = False,
    spell: bool = False,
) -> Iterator[list[str]]:
    """Yield the units of each sentence of text files and manifests; empty sentences are left out.

    Args:
        paths: manifests, or text files with a sentence a line, plain or compressed; ``-`` is standard input.
        normalization: applied to each sentence: ``english`` or ``none``.
        characters: the units are characters instead of words; the space between words is ``|``.
        prose: the files are books: split their paragraphs into sentences, and write abbreviated titles in full.
        spell: write numbers as English words.

    Raises:
        InputError: a file that cannot be read as text, or an unknown normalization.
    """
    normalizer = replace(TextNormalizer.from_config(normalization), numbers="spell" if spell else "keep")
    lines = chain.from_iterable(split_sentences(read_texts(path)) if prose else read_texts(path) for path in paths)
    for line in normalizer.watch(lines):
        if line := normalizer.apply(line):
            yield characters_of(line) if characters else line.split()


def read_words(path: str | Path, *, normalization: str = "english") -> list[str]:
    """Return the distinct first words of the lines of a word list or a pronouncing dictionary, normalized.

    The variants of a dictionary's word, as ``CAT(2)``, count once. Comments (``;;;``) are skipped.

    Raises:
        InputError: the file cannot be read as text or has no words.
    """
    apply = TextNormalizer.from_config(normalization).apply
    entries = (line.split()[0] for line in read_lines(path) if line.strip() and not line.startswith(";;;"))
    words = list(dict.fromkeys(chain.from_iterable(apply(headword(entry)).split() for entry in entries)))
    if not words:
        raise InputError(f"{path}: there is no word in it")
    return words
