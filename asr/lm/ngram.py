"""A back-off n-gram model as a trie of arrays, asked one word at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numba import njit

BOS, EOS, UNK = "<s>", "</s>", "<unk>"
NONE = -1
ROOT = 0
NEVER = -99.0  # the base-10 log-probability by which ARPA files say that a word, <s>, is never predicted


class Trie(NamedTuple):
    """All n-grams, (nodes,) each: the root is the empty one, then those of one word, of two, …

    The n-grams of one order are sorted by the words they consist of, so that the continuations of an n-gram are next to
    each other, sorted by their last word. Unigram w is node 1 + w.
    """

    word: np.ndarray  # int32: the last word
    children: np.ndarray  # (nodes + 1,) int32: continuations of node n are nodes children[n] to children[n + 1] - 1
    suffix: np.ndarray  # int32: the n-gram without its first word, or its longest suffix that there is
    log_prob: np.ndarray  # float32, natural: of the last word after the others
    backoff: np.ndarray  # float32, natural: weight of shorter contexts for words that do not follow here


@njit(cache=True, nogil=True)
def lower_bound(values: np.ndarray, low: int, high: int, wanted: int) -> int:
    """The first place from ``low`` to ``high`` whose value is not below ``wanted``; ``values`` are sorted there."""
    while low < high:
        middle = (low + high) // 2
        if values[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def find(trie: Trie, node: int, word: int) -> int:
    """The n-gram ``node`` continued by ``word``, or NONE."""
    if node == ROOT:
        return 1 + word
    end = trie.children[node + 1]
    child = lower_bound(trie.word, trie.children[node], end, word)
    return child if child < end and trie.word[child] == word else NONE


@njit(cache=True, nogil=True)
def step(trie: Trie, state: int, word: int) -> tuple[int, float]:
    """The state after ``word``, and the natural log of its probability in ``state``.

    A state is the longest n-gram at the end of the history that tells something of what comes next. This is the
    back-off recursion of Katz (1987), as written in ARPA files.
    """
    log_prob = 0.0
    node = find(trie, state, word)
    while node == NONE:
        log_prob += trie.backoff[state]
        state = trie.suffix[state]
        node = find(trie, state, word)
    log_prob += trie.log_prob[node]
    while node != ROOT and trie.children[node] == trie.children[node + 1] and trie.backoff[node] == 0:
        node = trie.suffix[node]
    return node, log_prob


@njit(cache=True, nogil=True)
def _score(trie: Trie, state: int, words: np.ndarray, log_probs: np.ndarray) -> int:
    for i in range(len(words)):
        state, log_probs[i] = step(trie, state, words[i])
    return state


@dataclass(frozen=True)
class NGram:
    """An n-gram model of order ``order`` over ``words``, the first three of which are <unk>, <s> and </s>."""

    words: tuple[str, ...]
    order: int
    trie: Trie

    @cached_property
    def index(self) -> dict[str, int]:
        """Number of each word."""
        return {word: number for number, word in enumerate(self.words)}

    @cached_property
    def start(self) -> int:
        """The state at the beginning of a sentence."""
        return 1 + self.index[BOS]

    def numbers(self, words: Iterable[str]) -> np.ndarray:
        """Numbers of words, that of <unk> for unknown ones."""
        unknown = self.index[UNK]
        return np.array([self.index.get(word, unknown) for word in words], dtype=np.int64)

    def log_probs(self, words: Sequence[str], *, bos: bool = True, eos: bool = True) -> np.ndarray:
        """Natural-log probability of each word of a sentence, and of its end."""
        numbers = self.numbers([*words, *([EOS] if eos else [])])
        found = np.empty(len(numbers))
        _score(self.trie, self.start if bos else ROOT, numbers, found)
        return found

    def nodes(self, order: int) -> np.ndarray:
        """The nodes (n,) of all n-grams of an ``order``."""
        begin, end = 0, 1
        for _ in range(order):
            begin, end = int(self.trie.children[begin]), int(self.trie.children[end])
        return np.arange(begin, end)

    def ngrams(self, order: int) -> tuple[np.ndarray, np.ndarray]:
        """`nodes`, and the words (n, order) of each."""
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
        """Each n-gram without its last word (nodes,); the root's is itself."""
        counts = np.diff(self.trie.children)
        return np.concatenate([[ROOT], np.repeat(np.arange(len(counts)), counts)])


def build(words: Sequence[str], orders: Sequence[Order]) -> NGram:
    """The model of n-grams given order by order."""
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
        trie.suffix[here] = order.suffix
        counts[below:begin] = np.bincount(order.parent, minlength=begin - below)
        below, begin = begin, here.stop
    trie.children[0] = 1
    trie.children[1:] = 1 + np.cumsum(counts)
    return NGram(tuple(words), len(orders), trie)


@dataclass
class Order:
    """The n-grams of one order, sorted by their words: what `build` needs, (n,) each."""

    parent: np.ndarray  # which n-gram of the order below it continues (0, the root, for unigrams)
    word: np.ndarray
    suffix: np.ndarray  # node of the trie
    log_prob: np.ndarray
    backoff: np.ndarray
