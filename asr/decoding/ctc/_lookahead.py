"""Look-ahead of a lexicon: the best score of the words that can still follow at each node."""

from __future__ import annotations

import numpy as np

from asr.decoding.ctc.lexicon_trie import NONE, ROOT, LexiconTrie
from asr.utils.numba_cache import njit
from asr.utils.numba_options import KERNEL


def best_below(lexicon: LexiconTrie, word_score: np.ndarray) -> np.ndarray:
    """Return the best score of a word below each node, 0 at the root; and last the score of unknown words."""
    lookahead = np.full(lexicon.num_nodes + 1, -np.inf)
    if lexicon.has_pieces:
        ends = lexicon.node_word != NONE
        lookahead[:-1][ends] = word_score[lexicon.node_word[ends]]
    if lexicon.num_nodes > 1 or len(lexicon.arc_label):
        _raise_to_roots(lexicon.arc_offsets, lexicon.arc_target, lexicon.arc_word, word_score, lookahead)
    lookahead[ROOT] = 0.0
    lookahead[-1] = word_score[-1]
    return lookahead


def max_begin(lexicon: LexiconTrie, lookahead: np.ndarray, is_open: bool) -> float:
    """Return the largest look-ahead after a label that begins a word."""
    below = lookahead[lexicon.arc_target[: lexicon.arc_offsets[1]]]
    return float(max(below.max(initial=-np.inf), lookahead[-1] if is_open else -np.inf))


@njit(**KERNEL)
def _raise_to_roots(
    arc_offsets: np.ndarray, arc_target: np.ndarray, arc_word: np.ndarray, word_score: np.ndarray, best: np.ndarray
) -> None:
    """Set ``best`` (nodes + 1,) of each node to the best score of a word whose arcs lead through it."""
    for node in range(len(arc_offsets) - 2, ROOT - 1, -1):  # nodes below come before those above
        for arc in range(arc_offsets[node], arc_offsets[node + 1]):
            below = best[arc_target[arc]] if arc_word[arc] == NONE else word_score[arc_word[arc]]
            best[node] = max(best[node], below)


def arc_bounds(lexicon: LexiconTrie, lookahead: np.ndarray, word_bonus: np.ndarray) -> np.ndarray:
    """Return the factor (arcs,) of a probability along each arc.

    It replaces the look-ahead of the arc's source by that of its target. Where a word ends it is an upper bound, as if
    the n-gram model were certain of the word.
    """
    source = np.repeat(np.arange(lexicon.num_nodes), np.diff(lexicon.arc_offsets))
    is_inside = lexicon.arc_word == NONE
    return np.exp(np.where(is_inside, lookahead[lexicon.arc_target], word_bonus[lexicon.arc_word]) - lookahead[source])
