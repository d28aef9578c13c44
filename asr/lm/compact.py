"""An n-gram model in a few bytes an n-gram, which the search reads as it is in the file (`asr.lm.binary`).

Probabilities and back-off weights are codes of 8 bits, words take as many bits as the vocabulary needs, and what only
contexts have (n-grams with continuations or a back-off weight) is kept for these alone. Scores are those of the
`asr.lm.ngram.NGram` with the quantized values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from asr.errors import InputError
from asr.lm.ngram import BOS, EOS, LOG_ZERO, NONE, ROOT, NGram, NGramWords, Trie
from asr.lm.quantize import LEVELS, code_book, count_bits, pack_bits, unpack
from asr.utils.numba_cache import njit
from asr.utils.numba_options import KERNEL


class CompactTrie(NamedTuple):
    """All n-grams of a model, numbered as the nodes of `asr.lm.ngram.Trie`; and contexts, numbered in the same order.

    A context is the root or a node with continuations or a back-off weight. Its number is a state.
    """

    first: np.ndarray  # (order + 1,) int64: first node of each order, from unigrams, and the number of nodes
    word_bits: int
    word: np.ndarray  # uint64: last words of the nodes from the first bigram on, ``word_bits`` each
    unigram: np.ndarray  # (words,) float32: natural-log probability of each word without a history
    log_prob: np.ndarray  # uint8: code of the natural-log probability of the nodes from the first bigram on
    log_prob_book: np.ndarray  # (order - 1, 256) float32: natural logs that the codes of each order mean
    is_context: np.ndarray  # uint64: a bit for each node
    contexts_before: np.ndarray  # int32: number of contexts before each 64 nodes
    children: np.ndarray  # (contexts + 1,) int32: continuations of context c are nodes children[c] to children[c+1] - 1
    suffix: np.ndarray  # (contexts,) int32: the context that is the longest proper suffix
    backoff: np.ndarray  # (contexts,) uint8: code of the back-off weight
    backoff_book: np.ndarray  # (order + 1, 256) float32: natural logs that the codes mean, from the root on
    first_context: np.ndarray  # (order + 2,) int64: first context of each order, from the root, and their number


@njit(**KERNEL)
def find(trie: CompactTrie, context: int, word: int) -> int:
    """Return the node of a context extended by ``word``, or NONE."""
    if context == ROOT:
        return 1 + word
    skipped = len(trie.unigram) + 1
    low, end = trie.children[context] - skipped, trie.children[context + 1] - skipped
    high = end
    while low < high:
        middle = (low + high) // 2
        if unpack(trie.word, trie.word_bits, middle) < word:
            low = middle + 1
        else:
            high = middle
    return low + skipped if low < end and unpack(trie.word, trie.word_bits, low) == word else NONE


@njit(**KERNEL)
def context_of(trie: CompactTrie, node: int) -> int:
    """Return the number of the context that a node is, NONE if it is none."""
    block, bit = node >> 6, np.uint64(node & 63)
    bits = trie.is_context[block]
    if (bits >> bit) & np.uint64(1) == np.uint64(0):
        return NONE
    return trie.contexts_before[block] + count_bits(bits & ((np.uint64(1) << bit) - np.uint64(1)))


@njit(**KERNEL)
def log_prob_of(trie: CompactTrie, node: int) -> float:
    """Return the natural-log probability of a node's last word after the others."""
    words = len(trie.unigram)
    if node <= words:
        return trie.unigram[node - 1]
    row = 0
    while node >= trie.first[row + 2]:
        row += 1
    return trie.log_prob_book[row, trie.log_prob[node - words - 1]]


@njit(**KERNEL)
def backoff_of(trie: CompactTrie, context: int) -> float:
    """Return the natural log of a context's back-off weight."""
    row = 0
    while context >= trie.first_context[row + 1]:
        row += 1
    return trie.backoff_book[row, trie.backoff[context]]


@njit(**KERNEL)
def step(trie: CompactTrie, state: int, word: int) -> tuple[int, float]:
    """Score a word, as `asr.lm.ngram.step`; the states are contexts.

    Args:
        trie: the model.
        state: the longest suffix of the history that is a context.
        word: the word's id.

    Returns:
        The state after the word, and the natural log of the word's probability in ``state``.
    """
    log_prob = 0.0
    node = find(trie, state, word)
    while node == NONE:
        log_prob += backoff_of(trie, state)
        state = trie.suffix[state]
        node = find(trie, state, word)
    log_prob += log_prob_of(trie, node)
    context = context_of(trie, node)
    while context == NONE and state != ROOT:  # the longest suffix that tells something of what follows
        state = trie.suffix[state]
        node = find(trie, state, word)
        if node != NONE:
            context = context_of(trie, node)
    return max(context, ROOT), log_prob


@njit(**KERNEL)
def _score(trie: CompactTrie, state: int, words: np.ndarray, log_probs: np.ndarray) -> int:
    for i in range(len(words)):
        state, log_probs[i] = step(trie, state, words[i])
    return state


@dataclass(frozen=True)
class CompactNGram(NGramWords):
    """An n-gram model in few bytes.

    Attributes:
        words: as in `NGram`.
        order: length of the longest n-grams.
        trie: the n-grams with their probabilities.
    """

    trie: CompactTrie

    @cached_property
    def start(self) -> int:
        """The state at the beginning of a sentence."""
        return max(context_of(self.trie, 1 + self.index[BOS]), ROOT)

    def log_probs(self, words: Sequence[str], *, bos: bool = True, eos: bool = True) -> np.ndarray:
        """Score a sentence, see `NGram.log_probs`."""
        ids = self.word_ids([*words, *([EOS] if eos else [])])
        log_probs = np.empty(len(ids))
        _score(self.trie, self.start if bos else ROOT, ids, log_probs)
        return log_probs

    @property
    def unigram_log_probs(self) -> np.ndarray:
        """Natural-log probability (words,) float32 of each word without a history."""
        return self.trie.unigram

    @property
    def max_log_prob(self) -> float:
        """Largest natural-log probability of a word, or a little more."""
        return max(float(self.trie.unigram.max()), float(self.trie.log_prob_book.max(initial=-np.inf)))

    @property
    def ngram_counts(self) -> tuple[int, ...]:
        """Number of n-grams of each order, from unigrams."""
        return tuple(np.diff(self.trie.first).tolist())

    def expand(self) -> NGram:
        """Return the same model, with its quantized values, in the form for computing.

        Raises:
            InputError: an n-gram has a word outside the vocabulary.
        """
        compact, size = self.trie, int(self.trie.first[-1])
        trie = Trie(
            word=np.full(size, NONE, dtype=np.int32),
            children=np.zeros(size + 1, dtype=np.int32),
            suffix=np.zeros(size, dtype=np.int32),
            log_prob=np.zeros(size, dtype=np.float32),
            backoff=np.zeros(size, dtype=np.float32),
        )
        _expand(compact, trie)
        if trie.word.max() >= len(self.words):  # of a file that was made to be wrong
            raise InputError(f"an n-gram has word {trie.word.max()}, the vocabulary {len(self.words)} words")
        return NGram(self.words, self.order, trie)


@njit(**KERNEL)
def _expand(compact: CompactTrie, trie: Trie) -> None:
    """Fill the arrays of a `Trie`."""
    size, words = len(trie.word), len(compact.unigram)
    for node in range(1, size):
        trie.word[node] = node - 1 if node <= words else unpack(compact.word, compact.word_bits, node - words - 1)
        trie.log_prob[node] = log_prob_of(compact, node)
    context = 0
    trie.children[0] = 1
    for node in range(size):
        if context_of(compact, node) != NONE:
            trie.backoff[node] = backoff_of(compact, context)
            context += 1
        trie.children[node + 1] = compact.children[context]
    for node in range(size):  # the suffixes of its continuations
        parent = context_of(compact, node)
        if parent > ROOT:
            for child in range(trie.children[node], trie.children[node + 1]):
                state, suffix = compact.suffix[parent], NONE
                while suffix == NONE:
                    suffix = find(compact, state, trie.word[child])
                    state = compact.suffix[state]
                trie.suffix[child] = suffix


def compact(model: NGram) -> CompactNGram:
    """Return a model in few bytes: probabilities of two words or more and back-off weights are quantized.

    Up to 256 different values in an order stay as they are.
    """
    trie, words = model.trie, len(model.words)
    size = len(trie.word)
    is_context = (np.diff(trie.children) > 0) | (trie.backoff != 0)
    is_context[ROOT] = True
    nodes = np.flatnonzero(is_context)
    number = np.cumsum(is_context) - 1
    suffix = trie.suffix[nodes]
    while (is_none := ~is_context[suffix]).any():
        suffix[is_none] = trie.suffix[suffix[is_none]]
    first = np.cumsum([1, *model.ngram_counts], dtype=np.int64)
    first_context = np.searchsorted(nodes, [0, *first]).astype(np.int64)
    log_probs = np.maximum(trie.log_prob, np.float32(LOG_ZERO))
    books = [code_book(log_probs[begin:end]) for begin, end in pairwise(first[1:])]
    backoffs = trie.backoff[nodes]
    backoff_books = [code_book(backoffs[begin:end]) for begin, end in pairwise(first_context)]
    width = max(1, (words - 1).bit_length())
    blocks = np.zeros(-(-size // 64) * 64, dtype=np.uint8)
    blocks[:size] = is_context
    contexts_before = np.cumsum(blocks.reshape(-1, 64).sum(1, dtype=np.int64))
    return CompactNGram(
        model.words,
        model.order,
        CompactTrie(
            first=first,
            word_bits=width,
            word=pack_bits(trie.word[1 + words :].astype(np.int64), width),
            unigram=log_probs[1 : 1 + words].copy(),
            log_prob=_concatenate([codes for _, codes in books], np.uint8),
            log_prob_book=np.array([book for book, _ in books], dtype=np.float32).reshape(-1, LEVELS),
            is_context=np.packbits(blocks, bitorder="little").view("<u8"),
            contexts_before=np.concatenate([[0], contexts_before[:-1]]).astype(np.int32),
            children=np.append(trie.children[nodes], size).astype(np.int32),
            suffix=number[suffix].astype(np.int32),
            backoff=_concatenate([codes for _, codes in backoff_books], np.uint8),
            backoff_book=np.stack([book for book, _ in backoff_books]),
            first_context=first_context,
        ),
    )


def _concatenate(parts: Sequence[np.ndarray], dtype: type) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype=dtype), *parts])
