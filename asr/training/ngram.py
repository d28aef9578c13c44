"""Estimate, prune, convert and mix n-gram language models; the functions behind ``asr lm``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from asr.data.lm_text import read_sentences, read_words
from asr.errors import InputError
from asr.lm import files
from asr.lm.estimate import encode_sentences, kneser_ney
from asr.lm.mix import fit_weights, mix, word_probabilities
from asr.lm.prune import prune, restrict


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


def prune_ngram(
    model: str | Path, output: str | Path, threshold: float, vocabulary: str | Path | None = None
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Prune a model by entropy (Stolcke 1998) and write the smaller one.

    Args:
        model: the file to read, see `asr.lm.files.read`.
        output: the file to write, see `asr.lm.files.write`.
        threshold: an n-gram is left out if that raises the perplexity by less than this fraction.
        vocabulary: keep only the words of this file first, see `asr.data.lm_text.read_words` and
            `asr.lm.prune.restrict`.

    Returns:
        Number of n-grams of each order before and after.

    Raises:
        InputError: an unreadable model or a negative threshold.
    """
    before = files.read(model).expand()
    after = restrict(before, read_words(vocabulary, normalization="none")) if vocabulary is not None else before
    after = prune(after, threshold)
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


class NGramMix(NamedTuple):
    """A mixed model.

    Attributes:
        weights: of the models.
        ngrams: number of n-grams of each order.
        perplexities: of the dev text, by each model alone and last by the linear interpolation, of the words that at
            least one of them has; empty without a text.
    """

    weights: tuple[float, ...]
    ngrams: tuple[int, ...]
    perplexities: tuple[float, ...]


def mix_ngrams(
    models: Sequence[str | Path],
    output: str | Path,
    *,
    dev: Sequence[str | Path] = (),
    weights: Sequence[float] | None = None,
    threshold: float = 0.0,
    normalization: str = "english",
    characters: bool = False,
    prose: bool = False,
    spell: bool = False,
) -> NGramMix:
    """Interpolate models linearly and write them as one back-off model, see `asr.lm.mix.mix`.

    Args:
        models: two or more files, see `asr.lm.files.read`.
        output: the file to write, see `asr.lm.files.write`.
        dev: text files or manifests on which the weights are fitted, if they are not given.
        weights: of each model, above 0; None: those of the lowest perplexity of ``dev``.
        threshold: prune the mixed model, see `prune_ngram`; 0 keeps all n-grams.
        normalization: applied to the text: ``english`` or ``none``.
        characters: the models are ones of characters.
        prose: split books into sentences.
        spell: write numbers of ``dev`` as English words.

    Raises:
        InputError: neither text nor weights are given, weights do not fit, or a file cannot be read.
    """
    if weights is None and not dev:
        raise InputError("give a text on which the weights are fitted, or the weights")
    if weights is not None and len(weights) != len(models):
        raise InputError(f"{len(models)} models and {len(weights)} weights: give a weight for each")
    if weights is not None and not (min(weights) >= 0 and sum(weights) > 0):
        raise InputError(f"weights {', '.join(map(str, weights))}: use numbers above 0")
    read = [files.read(path).expand() for path in models]
    shares = None if weights is None else np.asarray(weights) / sum(weights)
    perplexities: tuple[float, ...] = ()
    if dev:
        sentences = read_sentences(dev, normalization=normalization, characters=characters, prose=prose, spell=spell)
        probs = word_probabilities(read, sentences)
        shares = fit_weights(probs) if shares is None else shares
        with np.errstate(divide="ignore"):
            perplexities = tuple(np.exp(-np.log(np.column_stack([probs, probs @ shares])).mean(0)).tolist())
    assert shares is not None
    used = np.flatnonzero(shares)  # without models that the text does not need
    mixed = mix([read[i] for i in used], shares[used].tolist())
    if threshold:
        mixed = prune(mixed, threshold)
    files.write(mixed, output)
    return NGramMix(tuple(shares.tolist()), mixed.ngram_counts, perplexities)
