"""New prefixes of the CTC prefix beam search with models: a lexicon, n-gram models, a neural model.

With a lexicon, an entry is extended along the arcs of its node. Where words outside the lexicon are possible, or there
is no lexicon, it is extended by labels as well. Word pieces of which some begin a word have a function of their own:
many labels are possible at a node, and one label can end a word and begin the next one. In all cases (``prob`` is the
probability without the models)::

    prob = (in_blank if the label is repeated else in_blank + in_label) * p[label]
    if prob * (upper bound of factor) cannot compete, or the child is in the beam:  next
    factor = exp(change of the look-ahead; at the end of a word: its score instead of the look-ahead)   # word models
           * exp(score of the label by the n-gram model) * exp(score by the neural model)               # label models
    if prob * factor can compete:  list it
"""

from __future__ import annotations

import numpy as np

from asr.decoding.ctc import lexicon_trie
from asr.decoding.ctc._select import kth_largest
from asr.decoding.ctc._state import (
    ARC,
    ENTRIES,
    FRAMES,
    LABEL,
    LABEL_STATE,
    NGRAM_STATE,
    NODE,
    NONE,
    ORIGIN,
    PHRASE_STATE,
    ROOT,
    WORD,
    SearchData,
    Work,
    child_row,
)
from asr.decoding.ctc.model_scores import STATE_BITS, join_states, piece_target, score_word, word_at
from asr.lm.ngram import step
from asr.utils.numba_cache import njit
from asr.utils.numba_options import INLINE_KERNEL, INNER_KERNEL


@njit(**INNER_KERNEL)
def extend_with_models(p: np.ndarray, count: int, worst: float, data: SearchData) -> int:
    """List the new prefixes of a probability above ``worst``, the models' factors included, after the entries.

    Args:
        p: (V,) probabilities of the frame.
        count: number of labels in ``work.top_labels``.
        worst: the probability that a new prefix must exceed.
        data: the search, whose candidates are written.

    Returns:
        The number of candidates, entries included.
    """
    tree, beam, work, graph = data.tree, data.beam, data.work, data.graph
    work.label_prob[:] = 0.0
    for k in range(count):
        work.label_prob[work.top_labels[k]] = p[work.top_labels[k]]
    # the models' log-probabilities are at most 0, so that a label's factor is at most this
    label_bound = np.exp(max(graph.label_lm_bonus, 0.0) + max(graph.neural_lm_bonus, 0.0))
    candidates = beam.counts[ENTRIES]
    for i in range(beam.counts[ENTRIES]):
        node = tree.rows[beam.node[i], NODE]
        if graph.has_pieces:
            candidates, worst = _extend_by_pieces(i, count, label_bound, candidates, worst, data)
            continue
        if graph.has_words and node != len(graph.arc_offsets) - 1:  # not within an unknown word
            candidates, worst = _extend_along_arcs(i, label_bound, candidates, worst, data)
        # all labels without a lexicon; else those of an unknown word, or a separator before the first word
        if graph.is_open or not graph.has_words or beam.node[i] == ROOT:
            candidates, worst = _extend_by_labels(i, count, label_bound, candidates, worst, data)
    return candidates


@njit(**INLINE_KERNEL)
def _extend_along_arcs(
    i: int, label_bound: float, candidates: int, worst: float, data: SearchData
) -> tuple[int, float]:
    """List the new prefixes of entry ``i`` along the lexicon; return the new ``candidates`` and ``worst``."""
    tree, beam, work, graph = data.tree, data.beam, data.work, data.graph
    prefix, frame = beam.node[i], beam.counts[FRAMES]
    node, last = tree.rows[prefix, NODE], tree.rows[prefix, LABEL]
    state = join_states(tree.rows[prefix, NGRAM_STATE], tree.rows[prefix, PHRASE_STATE])
    in_blank, total = beam.in_blank[i], beam.in_blank[i] + beam.in_label[i]
    for arc in range(graph.arc_offsets[node], graph.arc_offsets[node + 1]):
        label = graph.arc_label[arc]
        work.arc_stamp[label] = frame * len(beam.node) + i
        prob = (in_blank if label == last else total) * work.label_prob[label]
        child = child_row(len(graph.label_lm_id), graph.arc_offsets, node, label, arc)
        if prob * (graph.arc_bound[arc] * label_bound) <= worst or work.child_frame[child, i] == frame:
            continue
        word, word_state, factor = graph.arc_word[arc], state, graph.arc_bound[arc]
        if word != NONE:
            word_state, score = score_word(graph, data.cache, state, word)
            factor = np.exp(score - graph.lookahead[node])
        candidates, worst = _list_candidate(
            i, label, arc, graph.arc_target[arc], word, word_state, prob, factor, candidates, worst, data
        )
    return candidates, worst


@njit(**INLINE_KERNEL)
def _extend_by_labels(
    i: int, count: int, label_bound: float, candidates: int, worst: float, data: SearchData
) -> tuple[int, float]:
    """List the new prefixes of entry ``i`` by labels without an arc; return the new ``candidates`` and ``worst``."""
    tree, beam, work, graph = data.tree, data.beam, data.work, data.graph
    prefix, frame = beam.node[i], beam.counts[FRAMES]
    node, last = tree.rows[prefix, NODE], tree.rows[prefix, LABEL]
    state = join_states(tree.rows[prefix, NGRAM_STATE], tree.rows[prefix, PHRASE_STATE])
    in_blank, total = beam.in_blank[i], beam.in_blank[i] + beam.in_label[i]
    unknown_node, unknown_word = len(graph.arc_offsets) - 1, len(graph.word_bonus) - 1
    bound = label_bound
    if graph.has_words:
        bound *= np.exp(max(graph.max_word_bonus - graph.lookahead[node], 0.0))
    for k in range(count):
        label = work.top_labels[k]
        label_prob = work.label_prob[label]
        if total * label_prob * bound <= worst:  # labels are sorted: the following ones are no better
            break
        if graph.has_words:
            if work.arc_stamp[label] == frame * len(beam.node) + i:  # done along an arc
                continue
            # a separator between words is only possible before the first one; other labels make a word unknown
            between = label == graph.separator and node == lexicon_trie.ROOT
            if prefix != ROOT if between else not graph.is_open:
                continue
        prob = (in_blank if label == last else total) * label_prob
        if prob * bound <= worst or work.child_frame[label, i] == frame:
            continue
        target, word, word_state, factor = node, NONE, state, 1.0
        if graph.has_words and label != graph.separator:
            target = unknown_node
            factor = np.exp(graph.lookahead[unknown_node] - graph.lookahead[node])
        elif graph.has_words:
            target = lexicon_trie.ROOT
            if node != lexicon_trie.ROOT:
                word = unknown_word
                word_state, score = score_word(graph, data.cache, state, word)
                factor = np.exp(score - graph.lookahead[node])
        candidates, worst = _list_candidate(
            i, label, NONE, target, word, word_state, prob, factor, candidates, worst, data
        )
    return candidates, worst


@njit(**INLINE_KERNEL)
def _extend_by_pieces(
    i: int, count: int, label_bound: float, candidates: int, worst: float, data: SearchData
) -> tuple[int, float]:
    """List the new prefixes of entry ``i`` by word pieces; return the new ``candidates`` and ``worst``."""
    tree, beam, work, graph = data.tree, data.beam, data.work, data.graph
    prefix, frame = beam.node[i], beam.counts[FRAMES]
    node, last = tree.rows[prefix, NODE], tree.rows[prefix, LABEL]
    state = join_states(tree.rows[prefix, NGRAM_STATE], tree.rows[prefix, PHRASE_STATE])
    in_blank, total = beam.in_blank[i], beam.in_blank[i] + beam.in_label[i]
    unknown_node = len(graph.arc_offsets) - 1
    # a label within a word raises the look-ahead only where it makes the word unknown
    inside = np.exp(max(graph.lookahead[unknown_node] - graph.lookahead[node], 0.0)) if graph.is_open else 1.0
    begin = np.exp(graph.max_word_bonus - graph.lookahead[node] + graph.max_begin)
    inside, begin = inside * label_bound, begin * label_bound
    word, word_state, end_factor = NONE, state, -1.0  # of the word that the next one's first label ends; once needed
    for k in range(count):
        label = work.top_labels[k]
        label_prob = work.label_prob[label]
        if total * label_prob * max(inside, begin) <= worst:  # labels are sorted: the following ones are no better
            break
        begins = graph.begins_word[label]
        prob = (in_blank if label == last else total) * label_prob
        if prob * (begin if begins else inside) <= worst or work.child_frame[label, i] == frame:
            continue
        if begins and end_factor < 0:
            end_factor = np.exp(-graph.lookahead[node])
            if node > lexicon_trie.EMPTY:
                word = word_at(graph, node)
                if word == NONE:
                    end_factor = 0.0  # no word can end here
                else:
                    word_state, score = score_word(graph, data.cache, state, word)
                    end_factor = np.exp(score - graph.lookahead[node])
        if begins and end_factor == 0:
            continue
        target = piece_target(graph, node, label)
        if target == NONE:
            continue
        factor = (end_factor if begins else np.exp(-graph.lookahead[node])) * np.exp(graph.lookahead[target])
        candidates, worst = _list_candidate(
            i,
            label,
            NONE,
            target,
            word if begins else NONE,
            word_state if begins else state,
            prob,
            factor,
            candidates,
            worst,
            data,
        )
    return candidates, worst


@njit(**INLINE_KERNEL)
def _list_candidate(
    i: int,
    label: int,
    arc: int,
    node: int,
    word: int,
    word_state: int,
    prob: float,
    factor: float,
    candidates: int,
    worst: float,
    data: SearchData,
) -> tuple[int, float]:
    """Apply the label models, and list the new prefix if it can compete; the new ``candidates`` and ``worst``."""
    beam, work, graph = data.beam, data.work, data.graph
    label_state = data.tree.rows[beam.node[i], LABEL_STATE]
    if graph.has_label_lm:
        label_state, log_prob = step(graph.label_lm, label_state, graph.label_lm_id[label])
        factor *= np.exp(graph.label_lm_weight * log_prob + graph.label_lm_bonus)
    if graph.has_neural_lm:
        factor *= np.exp(graph.neural_lm_weight * data.neural_log_probs[i, label] + graph.neural_lm_bonus)
    prob *= factor
    if prob > worst and candidates == len(work.prob):
        candidates, worst = _drop_worst(work, beam.counts[ENTRIES], len(beam.node))
    if prob > worst:
        work.prob[candidates], work.factor[candidates] = prob, factor
        info = work.info[candidates]
        info[ORIGIN], info[LABEL], info[ARC], info[NODE], info[WORD] = i, label, arc, node, word
        info[NGRAM_STATE], info[PHRASE_STATE] = word_state & STATE_BITS, word_state >> 32
        info[LABEL_STATE] = label_state
        candidates += 1
    return candidates, worst


@njit(**INNER_KERNEL)
def _drop_worst(work: Work, entries: int, width: int) -> tuple[int, float]:
    """Drop new prefixes that cannot be among the best ``width``, as there is no room; ``candidates`` and ``worst``."""
    prob, info = work.prob, work.info
    for k in range(len(prob)):
        work.scratch[k] = prob[k]
    worst = kth_largest(work.scratch, len(prob), width)
    room = width  # for new prefixes of the probability ``worst``, after those above and the entries
    for k in range(len(prob)):
        room -= (prob[k] > worst) | ((k < entries) & (prob[k] == worst))
    candidates = entries
    for k in range(entries, len(prob)):
        tie = prob[k] == worst and room > 0
        if prob[k] > worst or tie:
            room -= tie
            prob[candidates], work.factor[candidates] = prob[k], work.factor[k]
            for column in range(info.shape[1]):
                info[candidates, column] = info[k, column]
            candidates += 1
    return candidates, worst
