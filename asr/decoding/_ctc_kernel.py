"""The inner loop of the CTC prefix beam search, compiled by Numba.

Prefixes are nodes of a tree, so that a prefix is never hashed: where the child of a beam entry is in the beam itself,
a mark says so. A prefix that was pruned and comes back is the same node again, as its child may have stayed.

Probabilities are linear, not logarithms, and scaled once a frame so that the best prefix has 1: nothing underflows
that is not 300 orders of magnitude below the best.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from asr.decoding._ctc_extend import extend, extend_along, largest
from asr.decoding._ctc_state import (
    ARC,
    ENTRIES,
    FRAMES,
    HISTORY,
    LABEL,
    LETTERS,
    NODE,
    NODES,
    NONE,
    ORIGIN,
    ROOT,
    WORD,
    Beam,
    Tree,
    Work,
)
from asr.decoding.fusion import Graph, Memory

INSERTION = 128  # indices up to which sorting what is nearly sorted beats a merge sort


@njit(cache=True, nogil=True)
def advance(
    p: np.ndarray,
    log_unit: np.ndarray,
    blank: int,
    tree: Tree,
    beam: Beam,
    work: Work,
    graph: Graph,
    memory: Memory,
    table: np.ndarray,
    most_labels: int,
    least: float,
    share: float,
) -> int:
    """Take in frames until all are done or ``tree`` may be too small; return how many were.

    ``table`` (entries, V): natural logs of the labels that may follow each entry, by a neural model, for one frame.

    ``p`` (T, V) are probabilities in units of their frame's largest, whose natural log is ``log_unit`` (T,). Only the
    ``most_labels`` most probable labels of a frame, of probability ``least`` at least, make new prefixes. Prefixes with
    less than that ``share`` of the best one's probability are dropped. Stops at a frame that leaves no prefix a
    probability above zero, with no entry in the beam.
    """
    width = len(beam.node)
    for t in range(len(p)):
        if beam.counts[NODES] + width > len(tree.parent):
            return t
        worst = _stay(p[t], blank, tree, beam, work, graph, share)
        if graph.has_words or graph.has_letters or graph.has_table:
            count = _likely(p[t], blank, work.order, 0.0, least, np.exp(log_unit[t]), most_labels)
            candidates = extend_along(p[t], count, tree, beam, work, worst, graph, memory, table)
        else:
            # of one entry's children no more than the beam holds can be kept; one more, as a repeat may come to nothing
            count = _likely(p[t], blank, work.order, worst, least, np.exp(log_unit[t]), min(most_labels, width + 1))
            candidates = extend(p[t], count, tree, beam, work, worst)
        best = _keep_best(tree, beam, work, graph, candidates, share)
        if best == 0:
            beam.counts[ENTRIES] = 0
            return t
        beam.log_scale[0] += np.log(best) + log_unit[t]
        beam.counts[FRAMES] += 1
    return len(p)


@njit(cache=True, nogil=True)
def _stay(p: np.ndarray, blank: int, tree: Tree, beam: Beam, work: Work, graph: Graph, share: float) -> float:
    """What each entry becomes without a new label; the probability that a new prefix must beat."""
    entries, frame = beam.counts[ENTRIES], beam.counts[FRAMES]
    # names of their own: each access through a tuple counts references, atomically
    nodes, in_blank, in_label = beam.node, beam.in_blank, beam.in_label
    parents, labels, slots, arc_of, node_of, factor = (
        tree.parent,
        tree.label,
        tree.slot,
        tree.arc,
        tree.node,
        tree.factor,
    )
    keys, stay_blank, stay_label, mark = work.key, work.stay_blank, work.stay_label, work.mark
    count, first = len(graph.letter_number), graph.first
    worst, best = np.inf, 0.0
    for i in range(entries):
        node = nodes[i]
        label = labels[node]
        stay_blank[i] = (in_blank[i] + in_label[i]) * p[blank]
        stay_label[i] = 0.0
        if node != ROOT:
            stays = in_label[i]
            parent = slots[parents[node]]
            if parent != NONE:  # its extension by this label is this very prefix
                mark[parent, _branch(count, first, node_of[nodes[parent]], label, arc_of[node])] = frame
                into = in_blank[parent]
                if labels[nodes[parent]] != label:
                    into += in_label[parent]
                stays += into * factor[node]
            stay_label[i] = stays * p[label]
        keys[i] = stay_blank[i] + stay_label[i]
        worst, best = min(worst, keys[i]), max(best, keys[i])
    return max(worst if entries == len(nodes) else 0.0, share * best)


@njit(cache=True, nogil=True, inline="always")
def _branch(labels: int, first: np.ndarray, node: int, label: int, arc: int) -> int:
    """Which child ``label`` makes along ``arc`` of a prefix at a node of the lexicon: its column in `Work.mark`."""
    return label if arc == NONE else labels + arc - first[node]


@njit(cache=True, nogil=True)
def _likely(p: np.ndarray, blank: int, order: np.ndarray, above: float, least: float, unit: float, most: int) -> int:
    """List the ``most`` most probable labels, best first, above ``above`` and, times ``unit``, at least ``least``."""
    count = 0
    for label in range(len(p)):
        if label != blank and p[label] > above and p[label] * unit >= least:
            order[count] = label
            count += 1
    count = largest(p, order[:count], most)
    _sort(p, order[:count])
    return count


@njit(cache=True, nogil=True)
def _keep_best(tree: Tree, beam: Beam, work: Work, graph: Graph, candidates: int, share: float) -> float:
    """Make the best candidates the beam, best first, scaled so that the best has 1; return what it had.

    Of equal ones those that stay go first, then those that extend better entries.
    """
    entries, in_graph = beam.counts[ENTRIES], graph.has_words or graph.has_letters or graph.has_table
    # names of their own: each access through a tuple counts references, atomically
    nodes, in_blank, in_label, counts = beam.node, beam.in_blank, beam.in_label, beam.counts
    keys, place, factors, chosen = work.key, work.place, work.factor, work.chosen
    stay_blank, stay_label = work.stay_blank, work.stay_label
    next_node, next_blank, next_label = work.next_node, work.next_blank, work.next_label
    parents, last, arc_of, slots, youngest, siblings = (
        tree.parent,
        tree.label,
        tree.arc,
        tree.slot,
        tree.child,
        tree.sibling,
    )
    node_of, history_of, letters_of, word_of, factor_of = tree.node, tree.history, tree.letters, tree.word, tree.factor
    count = 0
    for k in range(candidates):
        if keys[k] > 0:
            chosen[count] = k
            count += 1
    count = largest(keys, chosen[:count], len(nodes))
    if count == 0:
        return 0.0
    _sort(keys, chosen[:count])
    best = keys[chosen[0]]
    while keys[chosen[count - 1]] < share * best:
        count -= 1
    for i in range(entries):
        slots[nodes[i]] = NONE
    for rank in range(count):
        k = chosen[rank]
        if k < entries:
            next_node[rank] = nodes[k]
            next_blank[rank] = stay_blank[k] / best
            next_label[rank] = stay_label[k] / best
            continue
        parent, label, arc = nodes[place[k, ORIGIN]], place[k, LABEL], place[k, ARC]
        child = youngest[parent]  # the same prefix may have been here before
        while child != NONE and (last[child] != label or arc_of[child] != arc):
            child = siblings[child]
        if child == NONE:
            child = counts[NODES]
            counts[NODES] += 1
            parents[child], last[child], arc_of[child], factor_of[child] = parent, label, arc, 1.0
            siblings[child] = youngest[parent]
            youngest[parent] = child
            if in_graph:
                node_of[child], word_of[child], factor_of[child] = place[k, NODE], place[k, WORD], factors[k]
                history_of[child], letters_of[child] = place[k, HISTORY], place[k, LETTERS]
        next_node[rank] = child
        next_blank[rank] = 0.0
        next_label[rank] = keys[k] / best
    for rank in range(count):
        nodes[rank] = next_node[rank]
        in_blank[rank] = next_blank[rank]
        in_label[rank] = next_label[rank]
        slots[next_node[rank]] = rank
    counts[ENTRIES] = count
    return best


@njit(cache=True, nogil=True)
def _sort(key: np.ndarray, chosen: np.ndarray) -> None:
    """Sort indices into ``key`` in place, largest first; equal ones keep their order."""
    if len(chosen) > INSERTION:
        chosen[:] = chosen[np.argsort(-key[chosen], kind="mergesort")]
        return
    for r in range(1, len(chosen)):
        k = chosen[r]
        j = r
        while j > 0 and key[chosen[j - 1]] < key[k]:
            chosen[j] = chosen[j - 1]
            j -= 1
        chosen[j] = k
