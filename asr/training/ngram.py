"""Estimate and prune n-gram language models; the functions behind ``asr lm train`` and ``asr lm prune``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from asr.data.lm_text import read_sentences, read_words
from asr.errors import InputError
from asr.lm import files
from asr.lm.estimate import encode_sentences, kneser_ney
from asr.lm.prune import prune


class NGramSize(NamedTuple):
    """Size of a model and of the text that it was estimated from.

    Attributes:
        words: number of words (or characters) of the text, without the ends of sentences.
        ngrams: number of n-grams of the model of each order, from 1 upwards.
    """

    words: int
    ngrams: tuple[int, ...]


def train_ngram(
    texts: Sequence[str | Path],
    output: str | Path,
    *,
    order: int = 3,
    max_words: int | None = None,
    vocabulary: str | Path | None = None,
    cutoffs: Sequence[int] = (),
    threshold: float = 0.0,
    normalization: str = "english",
    characters: bool = False,
    prose: bool = False,
    spell: bool = False,
) -> NGramSize:
    """Estimate a model by interpolated modified Kneser-Ney smoothing and write it to a file.

    Args:
        texts: text files or manifests, see `asr.data.lm_text.read_sentences`.
        output: the file to write, see `asr.lm.files.write`.
        order: length of the longest n-grams, 1 to 6.
        max_words: keep only this many of the most frequent words.
        vocabulary: keep only the words of this file, see `asr.data.lm_text.read_words`.
        cutoffs: for each order, leave out n-grams with this count or less; the last value holds for higher orders too.
        threshold: prune the model, see `prune_ngram`; 0 keeps all n-grams.
        normalization: applied to the text and the vocabulary: ``english`` or ``none``.
        characters: estimate a model of characters instead of words.
        prose: split books into sentences.
        spell: write numbers as English words.

    Raises:
        InputError: options that contradict each other or are out of range, unreadable files, or no text at all.
    """
    if max_words is not None and vocabulary is not None:
        raise InputError("--words and --vocabulary both choose the vocabulary: give one of them")
    known = read_words(vocabulary, normalization="none" if characters else normalization) if vocabulary else []
    sentences = read_sentences(texts, normalization=normalization, characters=characters, prose=prose, spell=spell)
    text = encode_sentences(sentences, max_words=max_words, vocabulary=known)
    model = kneser_ney(text, order, list(cutoffs))
    if threshold:
        model = prune(model, threshold)
    files.write(model, output)
    # encode_sentences puts <s> and </s> around each sentence
    return NGramSize(len(text.tokens) - 2 * (int(text.sentence[-1]) + 1), model.ngram_counts)


def prune_ngram(model: str | Path, output: str | Path, threshold: float) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Prune a model by entropy (Stolcke 1998) and write the smaller one.

    Args:
        model: the file to read, see `asr.lm.files.read`.
        output: the file to write, see `asr.lm.files.write`.
        threshold: an n-gram is left out if that raises the perplexity by less than this fraction.

    Returns:
        Number of n-grams of each order before and after.

    Raises:
        InputError: an unreadable model or a negative threshold.
    """
    before = files.read(model).expand()
    after = prune(before, threshold)
    files.write(after, output)
    return before.ngram_counts, after.ngram_counts


def convert_ngram(model: str | Path, output: str | Path) -> tuple[int, ...]:
    """Write a model as a binary file or as an ARPA file.

    Args:
        model: the model to read, an ARPA file, plain or compressed, or a binary file.
        output: the file to write: binary if its name ends in ``.ngram``, or else an ARPA file.

    Returns:
        Number of n-grams of each order.

    Raises:
        InputError: an unreadable model.
    """
    read = files.read(model)
    files.write(read, output)
    return read.ngram_counts
