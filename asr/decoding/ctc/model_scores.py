"""Score words and the end of an utterance by the models of a search; compiled by Numba."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from asr.decoding.ctc import phrases
from asr.decoding.ctc.fusion import Graph
from asr.decoding.ctc.lexicon_trie import EMPTY, NONE, ROOT
from asr.lm import compact
from asr.lm.ngram import lower_bound, step
from asr.utils.numba_cache import njit
from asr.utils.numba_options import INLINE_KERNEL, INNER_KERNEL, KERNEL

CACHE_SIZE = 1 << 16  # scores of the word model that are remembered
STATE_BITS = (1 << 32) - 1  # of a state of the word model: that of its n-gram model


class NGramCache(NamedTuple):
    """Scores of the word model, (CACHE_SIZE,) each, at the hash of a state and a word. One for each search."""

    key: np.ndarray  # int64: state and word
    state: np.ndarray  # int32: the state after the word
    log_prob: np.ndarray  # float64, natural log


def make_cache() -> NGramCache:
    """Return an empty cache."""
    key, state = np.full(CACHE_SIZE, NONE, dtype=np.int64), np.zeros(CACHE_SIZE, dtype=np.int32)
    return NGramCache(key, state, np.zeros(CACHE_SIZE))


@njit(**INLINE_KERNEL)
def join_states(ngram_state: int, phrase_state: int) -> int:
    """Return the state of the word model: that of its n-gram model, and above 32 bits that of its phrases."""
    return np.int64(phrase_state) << 32 | np.int64(ngram_state)


@njit(**INNER_KERNEL)
def _step_ngram(graph: Graph, state: int, ngram_id: int) -> tuple[int, float]:
    """Return the state of the n-gram model of words after a word, and the word's log-probability."""
    if graph.is_compact:
        return compact.step(graph.compact_lm, state, ngram_id)
    return step(graph.word_lm, state, ngram_id)


@njit(**KERNEL)
def state_after(graph: Graph, state: int, word: int) -> int:
    """Return the state of the word model (`join_states`) after a word; see `score_word`."""
    ngram_state, phrase_state = state & STATE_BITS, state >> 32
    if graph.has_word_lm:
        ngram_state, _ = _step_ngram(graph, ngram_state, graph.ngram_id[word])
    if graph.has_phrases:
        phrase_state, _ = phrases.step(graph.phrases, phrase_state, word)
    return join_states(ngram_state, phrase_state)


@njit(**INLINE_KERNEL)
def score_word(graph: Graph, cache: NGramCache, state: int, word: int) -> tuple[int, float]:
    """Return the state of the word model (`join_states`) after a word, and the word's score.

    ``len(graph.word_bonus) - 1`` is an unknown word.
    """
    score = graph.word_bonus[word]
    ngram_state, phrase_state = state & STATE_BITS, state >> 32
    if graph.has_word_lm:
        ngram_id = graph.ngram_id[word]
        key = ngram_state * graph.word_lm_size + ngram_id
        slot = (key ^ (key >> 16)) % CACHE_SIZE
        if cache.key[slot] != key:
            cache.state[slot], cache.log_prob[slot] = _step_ngram(graph, ngram_state, ngram_id)
            cache.key[slot] = key
        ngram_state = np.int64(cache.state[slot])
        score += graph.word_lm_weight * cache.log_prob[slot]
    if graph.has_phrases:
        phrase_state, added = phrases.step(graph.phrases, phrase_state, word)
        score += added
    return join_states(ngram_state, phrase_state), score


@njit(**INNER_KERNEL)
def find_arcs(graph: Graph, node: int, label: int) -> tuple[int, int]:
    """Return the range (first, last + 1) of the arcs of a label from a node of the lexicon."""
    if node == len(graph.arc_offsets) - 1:  # in an unknown word
        return 0, 0
    end = graph.arc_offsets[node + 1]
    low = high = lower_bound(graph.arc_label, graph.arc_offsets[node], end, label)
    while high < end and graph.arc_label[high] == label:
        high += 1
    return low, high


@njit(**INNER_KERNEL)
def piece_target(graph: Graph, node: int, label: int) -> int:
    """Return the node that a word piece leads to from a node, or NONE; a text may begin within a word."""
    low, high = find_arcs(graph, ROOT if graph.begins_word[label] else max(node, EMPTY), label)
    if low < high:
        return graph.arc_target[low]
    return len(graph.arc_offsets) - 1 if graph.is_open else NONE  # an unknown word


@njit(**INNER_KERNEL)
def word_at(graph: Graph, node: int) -> int:
    """Return the word that may end at a node below `EMPTY`, of a lexicon of word pieces, or NONE."""
    word = NONE
    if node < len(graph.node_word):
        word = graph.node_word[node]
    if word == NONE and graph.is_open:
        word = len(graph.word_bonus) - 1
    return word


@njit(**INNER_KERNEL)
def score_end(graph: Graph, cache: NGramCache, node: int, word_state: int, label_state: int) -> tuple[int, float]:
    """Score the end of the utterance after a prefix.

    Args:
        graph: the models.
        cache: of the word model.
        node: the prefix's node of the lexicon.
        word_state: its state of the word model, see `join_states`.
        label_state: its state of the label model.

    Returns:
        The word that ends with the utterance, NONE if no word does, and the score; that is -inf within a word that
        cannot end here.
    """
    word, score = NONE, 0.0
    if graph.has_words:
        if graph.has_pieces:
            if node > EMPTY:
                word, score = word_at(graph, node), -np.inf
                if word != NONE:
                    word_state, score = score_word(graph, cache, word_state, word)
            if node != ROOT:
                score -= graph.lookahead[node]
        elif node != ROOT:  # the last word may lack the separator
            score, state = -np.inf, word_state
            low, high = find_arcs(graph, node, graph.separator)
            for arc in range(low, high):
                arc_state, arc_score = score_word(graph, cache, word_state, graph.arc_word[arc])
                if arc_score > score:
                    score, state, word = arc_score, arc_state, graph.arc_word[arc]
            if word == NONE and graph.is_open:
                word = len(graph.word_bonus) - 1
                state, score = score_word(graph, cache, word_state, word)
            score -= graph.lookahead[node]
            word_state = state
        if graph.has_word_lm and graph.word_lm_end != NONE and score > -np.inf:
            score += graph.word_lm_weight * _step_ngram(graph, word_state & STATE_BITS, graph.word_lm_end)[1]
    if graph.has_label_lm and graph.label_lm_end != NONE:
        score += graph.label_lm_weight * step(graph.label_lm, label_state, graph.label_lm_end)[1]
    return word, score


def score_ends(
    graph: Graph,
    cache: NGramCache,
    node: np.ndarray,
    ngram_state: np.ndarray,
    phrase_state: np.ndarray,
    label_state: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Score the end of the utterance after each of several prefixes: `score_end` for arrays (n,)."""
    words, scores = np.empty(len(node), dtype=np.int64), np.empty(len(node))
    _score_ends(graph, cache, node, ngram_state, phrase_state, label_state, words, scores)
    return words, scores


@njit(**KERNEL)
def _score_ends(
    graph: Graph,
    cache: NGramCache,
    node: np.ndarray,
    ngram_state: np.ndarray,
    phrase_state: np.ndarray,
    label_state: np.ndarray,
    words: np.ndarray,
    scores: np.ndarray,
) -> None:
    """Write what `score_ends` returns to ``words`` and ``scores``."""
    for i in range(len(node)):
        word_state = join_states(ngram_state[i], phrase_state[i])
        words[i], scores[i] = score_end(graph, cache, node[i], word_state, label_state[i])
