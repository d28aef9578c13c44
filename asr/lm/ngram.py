"""A back-off n-gram model as a trie of arrays, scored one word at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from asr.utils.numba_cache import njit
from asr.utils.numba_options import KERNEL

BOS, EOS, UNK = "<s>", "</s>", "<unk>"
NONE = -1
ROOT = 0
ARPA_LOG_ZERO = -99.0  # base-10 log-probability of what is never predicted (<s>) in ARPA files
LOG_ZERO = ARPA_LOG_ZERO * float(np.log(10))


class Trie(NamedTuple):
    """All n-grams of a model, (nodes,) each: the root, which is the empty n-gram, then unigrams, bigrams and so on.

    The n-grams of one order are sorted by their words, so that the continuations of an n-gram are next to each other,
    sorted by their last word. Unigram w is node 1 + w.
    """

    word: np.ndarray  # int32: the last word
    children: np.ndarray  # (nodes + 1,) int32: continuations of node n are nodes children[n] to children[n + 1] - 1
    suffix: np.ndarray  # int32: the longest proper suffix of the n-gram that the model has
    log_prob: np.ndarray  # float32, natural log: of the last word after the others
    backoff: np.ndarray  # float32, natural log: back-off weight, for words that do not follow here


@njit(**KERNEL)
def lower_bound(values: np.ndarray, low: int, high: int, target: int) -> int:
    """Return the first index in ``low`` … ``high - 1`` whose value is at least ``target``, else ``high``.

    ``values`` are sorted in that range.
    """
    while low < high:
        middle = (low + high) // 2
        if values[middle] < target:
            low = middle + 1
        else:
            high = middle
    return low


@njit(**KERNEL)
def find(trie: Trie, node: int, word: int) -> int:
    """Return the node of the n-gram ``node`` extended by ``word``, or NONE."""
    if node == ROOT:
        return 1 + word
    end = trie.children[node + 1]
    child = lower_bound(trie.word, trie.children[node], end, word)
    return child if child < end and trie.word[child] == word else NONE


@njit(**KERNEL)
def _link_suffixes(trie: Trie) -> None:
    """Set the longest proper suffix of each n-gram: a suffix of the n-gram without its last word, and that word."""
    for node in range(1, len(trie.word)):  # shorter n-grams first
        for child in range(trie.children[node], trie.children[node + 1]):
            shorter, suffix = node, NONE
            while suffix == NONE:
                shorter = trie.suffix[shorter]
                suffix = find(trie, shorter, trie.word[child])
            trie.suffix[child] = suffix


@njit(**KERNEL)
def step(trie: Trie, state: int, word: int) -> tuple[int, float]:
    """Score a word: the back-off recursion of Katz (1987), as ARPA files define it.

    Args:
        trie: the model.
        state: node of the longest suffix of the history that can influence what follows.
        word: the word's id.

    Returns:
        The state after the word, and the natural log of the word's probability in ``state``.
    """
    log_prob = 0.0
    node = find(trie, state, word)
    while node == NONE:
        log_prob += trie.backoff[state]
        state = trie.suffix[state]
        node = find(trie, state, word)
    log_prob += trie.log_prob[node]
    # an n-gram without continuations or back-off weight tells no more than its suffix does
    while node != ROOT and trie.children[node] == trie.children[node + 1] and trie.backoff[node] == 0:
        node = trie.suffix[node]
    return node, log_prob


@njit(**KERNEL)
def _score(trie: Trie, state: int, words: np.ndarray, log_probs: np.ndarray) -> int:
    for i in range(len(words)):
        state, log_probs[i] = step(trie, state, words[i])
    return state


@dataclass(frozen=True)
class NGramWords:
    """The vocabulary of an n-gram model, and its order: what both forms of a model share.

    Attributes:
        words: the vocabulary; the first three words are <unk>, <s> and </s>. A word's id is its index.
        order: length of the longest n-grams.
    """

    words: tuple[str, ...]
    order: int

    @cached_property
    def index(self) -> dict[str, int]:
        """Id of each word."""
        return {word: i for i, word in enumerate(self.words)}

    def word_ids(self, words: Iterable[str]) -> np.ndarray:
        """Return the ids (n,) int64 of words, that of <unk> for words outside the vocabulary."""
        unknown = self.index[UNK]
        return np.array([self.index.get(word, unknown) for word in words], dtype=np.int64)


@dataclass(frozen=True)
class NGram(NGramWords):
    """An n-gram model, in the form for computing; `asr.lm.compact.CompactNGram` is the form of binary files.

    Attributes:
        words: the vocabulary, see `NGramWords`.
        order: length of the longest n-grams.
        trie: the n-grams with their probabilities.
    """

    trie: Trie

    @cached_property
    def start(self) -> int:
        """The state at the beginning of a sentence."""
        return 1 + self.index[BOS]

    @property
    def unigram_log_probs(self) -> np.ndarray:
        """Natural-log probability (words,) float32 of each word without a history."""
        return self.trie.log_prob[1 : 1 + len(self.words)]

    @property
    def max_log_prob(self) -> float:
        """Largest natural-log probability of a word, or a little more."""
        return float(self.trie.log_prob.max())

    @property
    def ngram_counts(self) -> tuple[int, ...]:
        """Number of n-grams of each order, from unigrams."""
        return tuple(len(self.nodes(order)) for order in range(1, self.order + 1))

    def expand(self) -> NGram:
        """Return the model itself, as a compact one returns this form of it."""
        return self

    def log_probs(self, words: Sequence[str], *, bos: bool = True, eos: bool = True) -> np.ndarray:
        """Score a sentence.

        Args:
            words: the sentence.
            bos: whether the first word follows <s>; else it has no history.
            eos: whether to score </s> after the last word.

        Returns:
            Natural-log probability of each word and, if ``eos``, of the end: (n,) or (n + 1,) float64.
        """
        ids = self.word_ids([*words, *([EOS] if eos else [])])
        log_probs = np.empty(len(ids))
        _score(self.trie, self.start if bos else ROOT, ids, log_probs)
        return log_probs

    def nodes(self, order: int) -> np.ndarray:
        """Return the nodes (n,) of all n-grams of an ``order``."""
        begin, end = 0, 1
        for _ in range(order):
            begin, end = int(self.trie.children[begin]), int(self.trie.children[end])
        return np.arange(begin, end)

    def ngrams(self, order: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the nodes (n,) of all n-grams of an ``order``, and their word ids (n, order)."""
        nodes = self.nodes(order)
        words = np.empty((len(nodes), order), dtype=np.int32)
        at = nodes
        parents = self.parents
        for column in range(order - 1, -1, -1):
            words[:, column] = self.trie.word[at]
            at = parents[at]
        return nodes, words

    @cached_property
    def parents(self) -> np.ndarray:
        """Node of each n-gram without its last word, (nodes,); the root's is itself."""
        counts = np.diff(self.trie.children)
        return np.concatenate([[ROOT], np.repeat(np.arange(len(counts)), counts)])


@dataclass
class NGramOrder:
    """The n-grams of one order, sorted by their words, (n,) each: the input of `build`."""

    parent: np.ndarray  # index of the n-gram without its last word in the order below (0, the root, for unigrams)
    word: np.ndarray  # id of the last word
    log_prob: np.ndarray  # natural log
    backoff: np.ndarray  # natural log


def build(words: Sequence[str], orders: Sequence[NGramOrder]) -> NGram:
    """Build a model from its n-grams, order by order from unigrams; ``words`` as in `NGram`."""
    size = 1 + sum(len(order.word) for order in orders)
    trie = Trie(
        word=np.full(size, NONE, dtype=np.int32),
        children=np.zeros(size + 1, dtype=np.int32),
        suffix=np.zeros(size, dtype=np.int32),
        log_prob=np.zeros(size, dtype=np.float32),
        backoff=np.zeros(size, dtype=np.float32),
    )
    below, begin = 0, 1  # first node of the order below, and of this one
    counts = np.zeros(size, dtype=np.int64)
    for order in orders:
        here = slice(begin, begin + len(order.word))
        trie.word[here] = order.word
        trie.log_prob[here] = order.log_prob
        trie.backoff[here] = order.backoff
        counts[below:begin] = np.bincount(order.parent, minlength=begin - below)
        below, begin = begin, here.stop
    trie.children[0] = 1
    trie.children[1:] = 1 + np.cumsum(counts)
    _link_suffixes(trie)
    return NGram(tuple(words), len(orders), trie)
