"""Estimation of n-gram models: interpolated modified Kneser-Ney smoothing, over sorted arrays.

Chen & Goodman (1998), "An Empirical Study of Smoothing Techniques for Language Modeling", section 3 (interpolated
modified Kneser-Ney); as KenLM's lmplz does it (Heafield et al. 2013): n-grams that begin a sentence keep
their counts, others of lower orders count the words seen before them, unigrams are interpolated with the uniform
distribution.
"""

from __future__ import annotations

import logging
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from asr.errors import InputError
from asr.lm.ngram import BOS, EOS, NEVER, UNK, NGram, Order, build

log = logging.getLogger(__name__)

SPECIAL = (UNK, BOS, EOS)
MOST_ORDERS = 6
FALLBACK = (0.5, 1.0, 1.5)  # discounts where there are too few n-grams to estimate them, as lmplz has
LEAST = 1e-30  # weight of shorter contexts, whose logarithm must be a number


@dataclass
class Text:
    """Sentences as numbers of words, one after another, each as <s> … </s>."""

    words: tuple[str, ...]
    tokens: np.ndarray  # (tokens,) int32
    sentence: np.ndarray  # (tokens,) int32: which sentence a token is of


def read_text(
    sentences: Iterable[Sequence[str]], *, max_words: int | None = None, vocabulary: Sequence[str] = ()
) -> Text:
    """Number the words of sentences.

    ``vocabulary``, if given, is all that the model will know; else all words are, or the ``max_words`` commonest (of
    equal ones the first in the alphabet). Others become <unk>. Raises InputError for <s>, </s> or <unk> in the text,
    and if there is none.
    """
    index: dict[str, int] = {word: number for number, word in enumerate(SPECIAL)}
    numbers, lengths = array("i"), array("i")
    for number, sentence in enumerate(sentences, start=1):
        if found := set(SPECIAL).intersection(sentence):
            raise InputError(f"sentence {number}: {', '.join(sorted(found))} is not a word that text may hold")
        numbers.append(1)
        numbers.extend([index.setdefault(word, len(index)) for word in sentence])
        numbers.append(2)
        lengths.append(len(sentence) + 2)
    if not lengths:
        raise InputError("there is no text to estimate a language model from")
    tokens = np.frombuffer(numbers, dtype=np.int32)
    words = list(index)
    if vocabulary or max_words is not None:
        kept = list(vocabulary) or _commonest(words, tokens, max_words or 0)
        number_of = {word: number for number, word in enumerate([*SPECIAL, *(w for w in kept if w not in SPECIAL)])}
        tokens = np.array([number_of.get(word, 0) for word in words], dtype=np.int32)[tokens]
        words = list(number_of)
    return Text(tuple(words), tokens, np.repeat(np.arange(len(lengths), dtype=np.int32), lengths))


def characters_of(text: str) -> list[str]:
    """The units of a model of characters: blanks are |, as a unit of an ARPA file cannot be a blank."""
    return ["|" if character == " " else character for character in text]


def _commonest(words: Sequence[str], tokens: np.ndarray, count: int) -> list[str]:
    counts = np.bincount(tokens, minlength=len(words))
    ranked = sorted(range(len(SPECIAL), len(words)), key=lambda number: (-counts[number], words[number]))
    return [words[number] for number in ranked[:count]]


@dataclass
class Counts:
    """The distinct n-grams of one order, sorted, (n,) each; whole numbers of 32 bits above unigrams."""

    parent: np.ndarray  # index into those of the order below
    word: np.ndarray
    suffix: np.ndarray  # index into those of the order below
    raw: np.ndarray  # times in the text
    adjusted: np.ndarray  # what smoothing goes by
    begins: np.ndarray  # whether the first word is <s>


def count(text: Text, order: int) -> list[Counts]:
    """Count all n-grams up to an order."""
    size, tokens = len(text.words), text.tokens
    raw = np.bincount(tokens, minlength=size)
    unigrams = np.arange(size)
    orders = [Counts(np.zeros(size, dtype=np.int64), unigrams, np.zeros(size, dtype=np.int64), raw, raw, unigrams == 1)]
    rank = tokens  # of the n-gram that starts at each position, among those of its order
    for n in range(2, order + 1):
        positions = np.flatnonzero(text.sentence[: len(tokens) - n + 1] == text.sentence[n - 1 :]).astype(np.int32)
        key = rank[positions] * np.int64(size)
        key += tokens[positions + (n - 1)]
        # as np.unique does, whose indices, inverse and counts would take twice the memory
        places = np.argsort(key)
        key = key[places]
        is_new = np.ones(len(key), dtype=bool)
        np.not_equal(key[1:], key[:-1], out=is_new[1:])
        first = np.flatnonzero(is_new)
        keys, raw = key[first], np.diff(first, append=len(key)).astype(np.int32)
        del key
        positions = positions[places]
        del places
        parent = (keys // size).astype(np.int32)
        suffix = rank[positions[first] + 1]
        below = orders[-1]
        orders.append(Counts(parent, (keys % size).astype(np.int32), suffix, raw, raw, below.begins[parent]))
        before = np.bincount(suffix, minlength=len(below.word))  # distinct words seen before it
        below.adjusted = np.where(below.begins, below.raw, before)
        rank = np.zeros(len(tokens), dtype=np.int32)
        rank[positions] = np.cumsum(is_new, dtype=np.int32) - 1
    orders[0].adjusted = np.where(unigrams == 1, 0, orders[0].adjusted)  # <s> is never predicted
    return orders


def discounts(adjusted: np.ndarray, order: int) -> np.ndarray:
    """What to subtract from counts of 0, 1, 2 and more: (4,); Chen & Goodman's equation 26."""
    n1, n2, n3, n4 = (int((adjusted == k).sum()) for k in (1, 2, 3, 4))
    if n1 and n2 and n3:
        y = n1 / (n1 + 2 * n2)
        found = np.array([0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
        if all(0 <= d <= k for k, d in enumerate(found)):
            return found
    log.warning(
        "order %d: counts of counts %d, %d, %d, %d do not give discounts; %s are taken", order, n1, n2, n3, n4, FALLBACK
    )
    return np.array([0, *FALLBACK])


def kneser_ney(text: Text, order: int, cutoffs: Sequence[int] = ()) -> NGram:
    """The model of an ``order`` of a text.

    ``cutoffs[k]`` leaves out n-grams of order k + 1 that the text has that many times or fewer (the last stands for
    higher orders too; unigrams are never left out). Their probability goes to shorter contexts.
    """
    if not 1 <= order <= MOST_ORDERS:
        raise InputError(f"order {order}: 1 to {MOST_ORDERS} is possible")
    limits = [0, *cutoffs[1:order]] if cutoffs else [0]
    limits += [limits[-1]] * (order - len(limits))
    if limits != sorted(limits):
        raise InputError(f"cut-offs {list(cutoffs)}: those of higher orders must not be lower")
    orders = count(text, order)
    nodes = 1  # of the order below: where they begin
    found: list[Order] = []
    probability = np.full(1, 1 / (len(text.words) - 1))  # uniform, but for <s>
    renumber = np.zeros(1, dtype=np.int64)  # kept n-grams of the order below; -1: left out
    for n, counts in enumerate(orders, start=1):
        discount = discounts(counts.adjusted, n)[np.minimum(counts.adjusted, 3)]
        kept = counts.raw > limits[n - 1] if n > 1 else np.ones(len(counts.word), dtype=bool)
        weights = np.maximum(counts.adjusted - discount, 0) * kept
        contexts = len(orders[n - 2].word) if n > 1 else 1
        total = np.bincount(counts.parent, counts.adjusted, contexts)
        taken = total - np.bincount(counts.parent, weights, contexts)
        with np.errstate(invalid="ignore", divide="ignore"):
            gamma = np.where(total > 0, np.maximum(taken / total, LEAST), 1.0)
        probability = weights / total[counts.parent] + gamma[counts.parent] * probability[counts.suffix]
        if n > 1:
            found[-1].backoff = np.log(gamma[renumber >= 0])
        above, renumber = renumber, np.where(kept, np.cumsum(kept) - 1, -1)
        with np.errstate(divide="ignore"):
            log_prob = np.log(probability[kept])
        if n == 1:
            log_prob[1] = NEVER * np.log(10)
        suffix = nodes - (len(found[-1].word) if found else 1) + above[counts.suffix[kept]]
        found.append(Order(above[counts.parent[kept]], counts.word[kept], suffix, log_prob, np.zeros(int(kept.sum()))))
        nodes += int(kept.sum())
    return build(text.words, found)


def perplexity(model: NGram, sentences: Iterable[Sequence[str]]) -> tuple[float, float, int, int]:
    """Perplexity with and without unknown words, and the numbers of all words (ends of sentences too) and unknown ones.

    As KenLM's query prints it.
    """
    total = known = 0.0
    words = unknown = 0
    unk = model.index[UNK]
    for sentence in sentences:
        found = model.log_probs(sentence)
        is_unknown = np.append(model.numbers(sentence) == unk, False)
        total += float(found.sum())
        known += float(found[~is_unknown].sum())
        words += len(found)
        unknown += int(is_unknown.sum())
    if not words:
        raise InputError("there is no text to score")
    return float(np.exp(-total / words)), float(np.exp(-known / max(words - unknown, 1))), words, unknown
