"""Estimation of n-gram models by interpolated modified Kneser-Ney smoothing, over sorted arrays.

Chen & Goodman (1998), "An Empirical Study of Smoothing Techniques for Language Modeling", section 3. Details are those
of KenLM's lmplz (Heafield et al. 2013): n-grams that begin a sentence keep their counts, other n-grams of lower orders
count the distinct words before them, and unigrams are interpolated with the uniform distribution.
"""

from __future__ import annotations

import logging
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from asr.errors import InputError
from asr.lm.compact import CompactNGram
from asr.lm.ngram import ARPA_LOG_ZERO, BOS, EOS, UNK, NGram, NGramOrder, build

log = logging.getLogger(__name__)

SPECIAL = (UNK, BOS, EOS)
MAX_ORDER = 6
FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)  # as lmplz has them, where there are too few n-grams to estimate them
MIN_BACKOFF = 1e-30  # back-off weights must have a finite logarithm


@dataclass
class EncodedText:
    """Sentences as word ids, one after another, each as <s> … </s>.

    Attributes:
        words: the vocabulary; a word's id is its index. It begins with <unk>, <s> and </s>.
        tokens: (tokens,) int32; word ids.
        sentence: (tokens,) int32; index of the sentence that a token belongs to.
    """

    words: tuple[str, ...]
    tokens: np.ndarray
    sentence: np.ndarray


def encode_sentences(
    sentences: Iterable[Sequence[str]], *, max_words: int | None = None, vocabulary: Sequence[str] = ()
) -> EncodedText:
    """Replace the words of sentences by ids; words outside the vocabulary become <unk>.

    Args:
        sentences: the words of each sentence.
        max_words: the vocabulary is this many of the most frequent words (ties in alphabetical order); None: all words.
        vocabulary: the vocabulary, if given; ``max_words`` is not used then.

    Returns:
        The encoded sentences with their vocabulary.

    Raises:
        InputError: <s>, </s> or <unk> occurs in a sentence, or there are no sentences.
    """
    index: dict[str, int] = {word: i for i, word in enumerate(SPECIAL)}
    ids, lengths = array("i"), array("i")
    for number, sentence in enumerate(sentences, start=1):
        if reserved := set(SPECIAL).intersection(sentence):
            raise InputError(f"sentence {number}: {', '.join(sorted(reserved))} is reserved, and not allowed in text")
        ids.append(index[BOS])
        ids.extend([index.setdefault(word, len(index)) for word in sentence])
        ids.append(index[EOS])
        lengths.append(len(sentence) + 2)
    if not lengths:
        raise InputError("there is no text to estimate a language model from")
    tokens = np.frombuffer(ids, dtype=np.int32)
    words = list(index)
    if vocabulary or max_words is not None:
        kept = list(vocabulary) or _most_frequent(words, tokens, max_words or 0)
        new_index = {word: i for i, word in enumerate([*SPECIAL, *(w for w in kept if w not in SPECIAL)])}
        tokens = np.array([new_index.get(word, new_index[UNK]) for word in words], dtype=np.int32)[tokens]
        words = list(new_index)
    return EncodedText(tuple(words), tokens, np.repeat(np.arange(len(lengths), dtype=np.int32), lengths))


def characters_of(text: str) -> list[str]:
    """Split a text into the units of a character model: a space becomes |, as units of ARPA files hold no spaces."""
    return ["|" if character == " " else character for character in text]


def _most_frequent(words: Sequence[str], tokens: np.ndarray, count: int) -> list[str]:
    counts = np.bincount(tokens, minlength=len(words))
    ranked = sorted(range(len(SPECIAL), len(words)), key=lambda i: (-counts[i], words[i]))
    return [words[i] for i in ranked[:count]]


@dataclass
class NGramCounts:
    """The distinct n-grams of one order in sorted order, (n,) each; int32 above unigrams."""

    parent: np.ndarray  # index of the n-gram without its last word in the order below
    word: np.ndarray  # id of the last word
    suffix: np.ndarray  # index of the n-gram without its first word in the order below
    raw: np.ndarray  # occurrences in the text
    adjusted: np.ndarray  # the counts that are smoothed
    begins: np.ndarray  # whether the first word is <s>


def count_ngrams(text: EncodedText, order: int) -> list[NGramCounts]:
    """Count all n-grams up to an order, unigrams first."""
    size, tokens = len(text.words), text.tokens
    raw = np.bincount(tokens, minlength=size)
    unigrams = np.arange(size)
    orders = [
        NGramCounts(np.zeros(size, dtype=np.int64), unigrams, np.zeros(size, dtype=np.int64), raw, raw, unigrams == 1)
    ]
    rank = tokens  # of the n-gram that starts at each position, among the n-grams of its order
    for n in range(2, order + 1):
        starts = max(len(tokens) - n + 1, 0)
        positions = np.flatnonzero(text.sentence[:starts] == text.sentence[n - 1 :]).astype(np.int32)
        key = rank[positions] * np.int64(size)
        key += tokens[positions + (n - 1)]
        # np.unique with indices, inverse and counts would take twice the memory
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
        orders.append(NGramCounts(parent, (keys % size).astype(np.int32), suffix, raw, raw, below.begins[parent]))
        before = np.bincount(suffix, minlength=len(below.word))  # distinct words before it
        below.adjusted = np.where(below.begins, below.raw, before)
        rank = np.zeros(len(tokens), dtype=np.int32)
        rank[positions] = np.cumsum(is_new, dtype=np.int32) - 1
    orders[0].adjusted = np.where(unigrams == 1, 0, orders[0].adjusted)  # <s> is never predicted
    return orders


def discounts(adjusted: np.ndarray, order: int) -> np.ndarray:
    """Estimate the discounts for counts of 0, 1, 2 and more, (4,): Chen & Goodman's equation 26.

    Args:
        adjusted: counts (n,) of the n-grams of one order.
        order: that order, for the warning when the counts are too few and `FALLBACK_DISCOUNTS` are used.
    """
    n1, n2, n3, n4 = (int((adjusted == k).sum()) for k in (1, 2, 3, 4))
    if n1 and n2 and n3:
        y = n1 / (n1 + 2 * n2)
        estimated = np.array([0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
        if all(0 <= d <= k for k, d in enumerate(estimated)):
            return estimated
    log.warning(
        "order %d: counts of counts %d, %d, %d, %d do not give discounts; %s are used",
        order,
        n1,
        n2,
        n3,
        n4,
        FALLBACK_DISCOUNTS,
    )
    return np.array([0, *FALLBACK_DISCOUNTS])


def kneser_ney(text: EncodedText, order: int, cutoffs: Sequence[int] = ()) -> NGram:
    """Estimate a model of an order from a text, by interpolated modified Kneser-Ney smoothing.

    Args:
        text: the training text.
        order: length of the longest n-grams, 1 to 6.
        cutoffs: n-grams of order k + 1 that occur ``cutoffs[k]`` times or fewer are left out, and their probability
            goes to shorter contexts. The last cut-off holds for higher orders too; unigrams are never left out.

    Returns:
        The model.

    Raises:
        InputError: the order is out of range, or cut-offs decrease with the order.
    """
    if not 1 <= order <= MAX_ORDER:
        raise InputError(f"order {order}: use 1 to {MAX_ORDER}")
    limits = [0, *cutoffs[1:order]] if cutoffs else [0]
    limits += [limits[-1]] * (order - len(limits))
    if limits != sorted(limits):
        raise InputError(f"cut-offs {list(cutoffs)}: those of higher orders must not be lower")
    orders = count_ngrams(text, order)
    estimated: list[NGramOrder] = []
    probability = np.full(1, 1 / (len(text.words) - 1))  # of the order below: uniform, but for <s>
    new_index = np.zeros(1, dtype=np.int64)  # of the n-grams of the order below among the kept ones; -1: left out
    for n, counts in enumerate(orders, start=1):
        kept = counts.raw > limits[n - 1] if n > 1 else np.ones(len(counts.word), dtype=bool)
        contexts = len(orders[n - 2].word) if n > 1 else 1
        discounted, gamma = _discount(counts, kept, contexts, n)
        # what discounting leaves, and gamma times the probability in the shorter context
        probability = discounted + gamma[counts.parent] * probability[counts.suffix]
        if n > 1:
            estimated[-1].backoff = np.log(gamma[new_index >= 0])
        index_below, new_index = new_index, np.where(kept, np.cumsum(kept) - 1, -1)
        with np.errstate(divide="ignore"):
            log_prob = np.log(probability[kept])
        if n == 1:
            log_prob[text.words.index(BOS)] = ARPA_LOG_ZERO * np.log(10)
        parent = index_below[counts.parent[kept]]
        estimated.append(NGramOrder(parent, counts.word[kept], log_prob, np.zeros(len(parent))))
    return build(text.words, estimated)


def _discount(counts: NGramCounts, kept: np.ndarray, contexts: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the discounted relative frequencies (n-grams,) of order n, and the rest (contexts,) of each context."""
    discount = discounts(counts.adjusted, n)[np.minimum(counts.adjusted, 3)]
    weights = np.maximum(counts.adjusted - discount, 0) * kept
    total = np.bincount(counts.parent, counts.adjusted, contexts)
    rest = total - np.bincount(counts.parent, weights, contexts)
    with np.errstate(invalid="ignore", divide="ignore"):
        gamma = np.where(total > 0, np.maximum(rest / total, MIN_BACKOFF), 1.0)
        return weights / total[counts.parent], gamma


def perplexity(model: NGram | CompactNGram, sentences: Iterable[Sequence[str]]) -> tuple[float, float, int, int]:
    """Compute the perplexity of sentences, as KenLM's ``query`` prints it.

    Returns:
        The perplexity with unknown words and without them, the number of words (ends of sentences included), and the
        number of unknown words.

    Raises:
        InputError: there are no sentences.
    """
    total = known = 0.0
    words = unknown = 0
    unk = model.index[UNK]
    for sentence in sentences:
        log_probs = model.log_probs(sentence)
        is_unknown = np.append(model.word_ids(sentence) == unk, False)
        total += float(log_probs.sum())
        known += float(log_probs[~is_unknown].sum())
        words += len(log_probs)
        unknown += int(is_unknown.sum())
    if not words:
        raise InputError("there is no text to score")
    return float(np.exp(-total / words)), float(np.exp(-known / max(words - unknown, 1))), words, unknown
