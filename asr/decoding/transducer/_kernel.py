"""The inner loops of the transducer's beam search, compiled by Numba: merging prefixes and extending them.

Scores are natural logs.
"""

from __future__ import annotations

import numpy as np

from asr.decoding.ctc import lexicon_trie
from asr.decoding.ctc.fusion import Graph
from asr.decoding.ctc.model_scores import (
    STATE_BITS,
    NGramCache,
    find_arcs,
    join_states,
    piece_target,
    score_word,
    word_at,
)
from asr.lm.ngram import step
from asr.utils.numba_cache import njit
from asr.utils.numba_options import INLINE_KERNEL, KERNEL

ROOT = 0
NONE = -1
# columns of a prefix's row; a candidate has the entry that it extends (ORIGIN) in place of the parent
PARENT, LABEL, ARC, NODE, NGRAM_STATE, PHRASE_STATE, LABEL_STATE, WORD, DEPTH = range(9)
ORIGIN = PARENT
COLUMNS = 9


@njit(**KERNEL)
def find_ancestors(
    rows: np.ndarray, slot: np.ndarray, nodes: np.ndarray, ancestors: np.ndarray, between: np.ndarray
) -> int:
    """Find the longest proper prefix of each entry that is an entry too, and the prefixes between the two.

    Args:
        rows: (nodes, COLUMNS) of all prefixes.
        slot: (nodes,) index of each entry, NONE for other prefixes; those between get the numbers after the entries.
        nodes: (E,) the entries' prefixes.
        ancestors: (E,) the entry that is the prefix, or NONE; written here.
        between: (nodes,) the prefixes between, written here.

    Returns:
        The number of prefixes between.
    """
    entries, count = len(nodes), 0
    shortest = rows[nodes[0], DEPTH]
    for node in nodes:
        shortest = min(shortest, rows[node, DEPTH])
    for i in range(entries):
        ancestors[i] = NONE
        node = rows[nodes[i], PARENT]
        while node != NONE and rows[node, DEPTH] >= shortest and not 0 <= slot[node] < entries:
            node = rows[node, PARENT]
        if node == NONE or not 0 <= slot[node] < entries:
            continue
        ancestors[i] = slot[node]
        inner = rows[nodes[i], PARENT]
        while inner != node:
            if slot[inner] == NONE:
                slot[inner] = entries + count
                between[count] = inner
                count += 1
            inner = rows[inner, PARENT]
    return count


@njit(**KERNEL)
def merge_prefixes(
    rows: np.ndarray,
    factor: np.ndarray,
    slot: np.ndarray,
    log_probs: np.ndarray,
    nodes: np.ndarray,
    by_depth: np.ndarray,
    ancestors: np.ndarray,
    scores: np.ndarray,
    best: np.ndarray,
    via: np.ndarray,
) -> None:
    """Add to each entry the paths from its prefixes that emit the rest of it in this frame.

    The longest prefix in the beam is enough: it has received what comes from shorter ones before.

    Args:
        rows: see `find_ancestors`.
        factor: (nodes,) what models add to a prefix's last label.
        slot: (nodes,) rows of ``log_probs`` of entries and prefixes between.
        log_probs: (E + B, V) of the frame.
        nodes: (E,) the entries' prefixes.
        by_depth: (E,) the entries, the shortest first.
        ancestors: see `find_ancestors`.
        scores: (E,) of all paths, changed here.
        best: (E,) of the best path, changed here.
        via: (E,) whether the best path now comes from the prefix, written here.
    """
    for i in by_depth:
        via[i] = False
        if ancestors[i] == NONE:
            continue
        rest, node, top = 0.0, nodes[i], nodes[ancestors[i]]
        while node != top:
            parent = rows[node, PARENT]
            rest += log_probs[slot[parent], rows[node, LABEL]] + factor[node]
            node = parent
        arrived = scores[ancestors[i]] + rest
        high, low = max(scores[i], arrived), min(scores[i], arrived)
        if low > -np.inf:
            high += np.log1p(np.exp(low - high))
        scores[i] = high
        if best[ancestors[i]] + rest > best[i]:
            best[i] = best[ancestors[i]] + rest
            via[i] = True


@njit(**KERNEL)
def extend(
    log_probs: np.ndarray,
    neural: np.ndarray,
    scores: np.ndarray,
    nodes: np.ndarray,
    first: int,
    blank: int,
    threshold: float,
    rows: np.ndarray,
    log_bound: np.ndarray,
    graph: Graph,
    cache: NGramCache,
    info: np.ndarray,
    factor: np.ndarray,
    score: np.ndarray,
) -> int:
    """List what entries can be extended to with a score above a threshold.

    As `asr.decoding.ctc._extend_models` does: along the arcs of the lexicon, and by labels where there is none, or
    where words outside it are possible.

    Args:
        log_probs: (E, V) of the labels that may follow each entry in this frame.
        neural: (E, V) by a neural language model; without one it is not read.
        scores: (E,).
        nodes: (E,) the entries' prefixes.
        first: number of the first entry, for ORIGIN.
        blank: index of the blank.
        threshold: the score to exceed.
        rows: see `find_ancestors`.
        log_bound: (arcs,) natural log of `Graph.arc_bound`.
        graph: the models.
        cache: of the word model.
        info: (candidates, COLUMNS), written here.
        factor: (candidates,) what models add, written here.
        score: (candidates,), written here.

    Returns:
        The number of candidates.
    """
    count = 0
    unknown_node, unknown_word = len(graph.arc_offsets) - 1, len(graph.word_bonus) - 1
    # the models' log-probabilities are at most 0
    bonus = max(graph.label_lm_bonus, 0.0) + max(graph.neural_lm_bonus, 0.0)
    for i in range(len(nodes)):
        prefix = nodes[i]
        node, state = rows[prefix, NODE], join_states(rows[prefix, NGRAM_STATE], rows[prefix, PHRASE_STATE])
        if graph.has_pieces:
            ended, word, word_state = -graph.lookahead[node], NONE, state
            if node > lexicon_trie.EMPTY:  # a label that begins a word ends the one before
                word, ended = word_at(graph, node), -np.inf
                if word != NONE:
                    word_state, word_score = score_word(graph, cache, state, word)
                    ended = word_score - graph.lookahead[node]
            for label in range(log_probs.shape[1]):
                begins = graph.begins_word[label]
                arrived = scores[i] + log_probs[i, label]
                if label == blank or arrived == -np.inf or (begins and ended == -np.inf):
                    continue
                target = piece_target(graph, node, label)
                if target == NONE:
                    continue
                added = (ended if begins else -graph.lookahead[node]) + graph.lookahead[target]
                count = _list_candidate(
                    i, first, label, NONE, target, word if begins else NONE, word_state if begins else state, prefix,
                    arrived, added, threshold, neural, rows, graph, info, factor, score, count,
                )  # fmt: skip
            continue
        if graph.has_words and node != unknown_node:
            for arc in range(graph.arc_offsets[node], graph.arc_offsets[node + 1]):
                label = graph.arc_label[arc]
                arrived = scores[i] + log_probs[i, label]
                if arrived + log_bound[arc] + bonus <= threshold:
                    continue
                word, word_state, added = graph.arc_word[arc], state, log_bound[arc]
                if word != NONE:
                    word_state, word_score = score_word(graph, cache, state, word)
                    added = word_score - graph.lookahead[node]
                count = _list_candidate(
                    i, first, label, arc, graph.arc_target[arc], word, word_state, prefix, arrived, added,
                    threshold, neural, rows, graph, info, factor, score, count,
                )  # fmt: skip
        if graph.is_open or not graph.has_words or prefix == ROOT:
            bound = bonus
            if graph.has_words:
                bound += max(graph.max_word_bonus - graph.lookahead[node], 0.0)
            for label in range(log_probs.shape[1]):
                arrived = scores[i] + log_probs[i, label]
                if label == blank or arrived + bound <= threshold:
                    continue
                target, word, word_state, added = node, NONE, state, 0.0
                if graph.has_words:
                    low, high = find_arcs(graph, node, label)
                    if low < high:  # done along an arc
                        continue
                    # a separator between words is only possible before the first one; others make a word unknown
                    between = label == graph.separator and node == lexicon_trie.ROOT
                    if prefix != ROOT if between else not graph.is_open:
                        continue
                    if label != graph.separator:
                        target = unknown_node
                        added = graph.lookahead[unknown_node] - graph.lookahead[node]
                    else:
                        target = lexicon_trie.ROOT
                        if node != lexicon_trie.ROOT:
                            word = unknown_word
                            word_state, word_score = score_word(graph, cache, state, word)
                            added = word_score - graph.lookahead[node]
                count = _list_candidate(
                    i, first, label, NONE, target, word, word_state, prefix, arrived, added,
                    threshold, neural, rows, graph, info, factor, score, count,
                )  # fmt: skip
    return count


@njit(**INLINE_KERNEL)
def _list_candidate(
    i: int,
    first: int,
    label: int,
    arc: int,
    node: int,
    word: int,
    word_state: int,
    prefix: int,
    arrived: float,
    added: float,
    threshold: float,
    neural: np.ndarray,
    rows: np.ndarray,
    graph: Graph,
    info: np.ndarray,
    factor: np.ndarray,
    score: np.ndarray,
    count: int,
) -> int:
    """Apply the label models, and list the candidate if it exceeds the threshold; the new ``count``."""
    label_state = rows[prefix, LABEL_STATE]
    if graph.has_label_lm:
        label_state, log_prob = step(graph.label_lm, label_state, graph.label_lm_id[label])
        added += graph.label_lm_weight * log_prob + graph.label_lm_bonus
    if graph.has_neural_lm:
        added += graph.neural_lm_weight * neural[i, label] + graph.neural_lm_bonus
    if arrived + added > threshold:
        row = info[count]
        row[ORIGIN], row[LABEL], row[ARC], row[NODE], row[WORD] = first + i, label, arc, node, word
        row[NGRAM_STATE], row[PHRASE_STATE] = word_state & STATE_BITS, word_state >> 32
        row[LABEL_STATE], row[DEPTH] = label_state, rows[prefix, DEPTH] + 1
        factor[count], score[count] = added, arrived + added
        count += 1
    return count
