"""Estimate and prune n-gram language models; the functions behind ``asr lm train`` and ``asr lm prune``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from asr.data.lm_text import read_sentences, read_words
from asr.errors import InputError
from asr.lm import arpa
from asr.lm.estimate import encode_sentences, kneser_ney
from asr.lm.ngram import NGram
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
) -> NGramSize:
    """Estimate a model by interpolated modified Kneser-Ney smoothing and write it as an ARPA file.

    Args:
        texts: text files or manifests, see `asr.data.lm_text.read_sentences`.
        output: the ARPA file; compressed if its name ends in ``.gz``.
        order: length of the longest n-grams, 1 to 6.
        max_words: keep only this many of the most frequent words.
        vocabulary: keep only the words of this file, see `asr.data.lm_text.read_words`.
        cutoffs: for each order, leave out n-grams with this count or less; the last value holds for higher orders too.
        threshold: prune the model, see `prune_ngram`; 0 keeps all n-grams.
        normalization: applied to the text and the vocabulary: ``english`` or ``none``.
        characters: estimate a model of characters instead of words.
        prose: split books into sentences.

    Raises:
        InputError: options that contradict each other or are out of range, unreadable files, or no text at all.
    """
    if max_words is not None and vocabulary is not None:
        raise InputError("--words and --vocabulary both choose the vocabulary: give one of them")
    known = read_words(vocabulary, normalization="none" if characters else normalization) if vocabulary else []
    sentences = read_sentences(texts, normalization=normalization, characters=characters, prose=prose)
    text = encode_sentences(sentences, max_words=max_words, vocabulary=known)
    model = kneser_ney(text, order, list(cutoffs))
    if threshold:
        model = prune(model, threshold)
    arpa.write(model, output)
    # encode_sentences puts <s> and </s> around each sentence
    return NGramSize(len(text.tokens) - 2 * (int(text.sentence[-1]) + 1), _ngram_counts(model))


def prune_ngram(model: str | Path, output: str | Path, threshold: float) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Prune an ARPA file by entropy (Stolcke 1998) and write the smaller model.

    Args:
        model: the ARPA file to read, plain or compressed.
        output: the ARPA file to write; compressed if its name ends in ``.gz``.
        threshold: an n-gram is left out if that raises the perplexity by less than this fraction.

    Returns:
        Number of n-grams of each order before and after.

    Raises:
        InputError: an unreadable model or a negative threshold.
    """
    before = arpa.read(model)
    after = prune(before, threshold)
    arpa.write(after, output)
    return _ngram_counts(before), _ngram_counts(after)


def _ngram_counts(model: NGram) -> tuple[int, ...]:
    return tuple(len(model.nodes(n)) for n in range(1, model.order + 1))
