"""Score n-gram language models on text; the function behind ``asr lm score``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from asr.data.lm_text import read_sentences
from asr.lm import files
from asr.lm.estimate import perplexity


class NGramScore(NamedTuple):
    """Perplexity of an n-gram model on one text.

    Attributes:
        path: the text.
        perplexity: over all words and ends of sentences.
        perplexity_known: without the words that the model does not have.
        words: number of words and ends of sentences.
        unknown: number of words that the model does not have.
    """

    path: str | Path
    perplexity: float
    perplexity_known: float
    words: int
    unknown: int


def score_ngram(
    model: str | Path,
    texts: Sequence[str | Path],
    *,
    normalization: str = "english",
    characters: bool = False,
    prose: bool = False,
    spell: bool = False,
) -> Iterator[NGramScore]:
    """Yield the score of a model on each text file or manifest.

    Args:
        model: an ARPA file, plain or compressed, or a binary one.
        texts: text files or manifests, see `asr.data.lm_text.read_sentences`.
        normalization: applied to the text: ``english`` or ``none``.
        characters: the model is one of characters.
        prose: split books into sentences.
        spell: write numbers as English words.

    Raises:
        InputError: an unreadable file, or a text without words.
    """
    ngram = files.read(model)
    for path in texts:
        sentences = read_sentences([path], normalization=normalization, characters=characters, prose=prose, spell=spell)
        yield NGramScore(path, *perplexity(ngram, sentences))
