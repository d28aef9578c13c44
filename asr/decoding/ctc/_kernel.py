"""The inner loop of the CTC prefix beam search, compiled by Numba.

Prefixes are nodes of a tree, so that a prefix is never hashed: where the child of a beam entry is in the beam itself,
a mark says so. A prefix that was pruned and comes back is the same node again, as its child may have stayed.

Probabilities are linear, not logarithms, and scaled once a frame so that the best prefix has 1: nothing underflows
that is not 300 orders of magnitude below the best.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from asr.decoding.ctc._extend import extend, extend_along, largest
from asr.decoding.ctc._state import (
    ARC,
    CHILD,
    ENTRIES,
    FRAMES,
    LABEL,
    NODE,
    NODES,
    NONE,
    ORIGIN,
    PARENT,
    ROOT,
    SIBLING,
    SLOT,
    WORD,
    Beam,
    Tree,
    Work,
)
from asr.decoding.ctc.fusion import Graph, Memory

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
    width, keys, chosen, order, scratch = len(beam.node), work.key, work.chosen, work.order, work.scratch
    for t in range(len(p)):
        if beam.counts[NODES] + width > len(tree.rows):
            return t
        worst = _stay(p[t], blank, tree, beam, work, graph, share)
        if graph.has_words or graph.has_letters or graph.has_table:
            count = _likely(p[t], blank, order, 0.0, least, np.exp(log_unit[t]), most_labels, scratch)
            candidates = extend_along(p[t], count, tree, beam, work, worst, graph, memory, table)
        else:
            # of one entry's children no more than the beam holds can be kept; one more, as a repeat may come to nothing
            most = min(most_labels, width + 1)
            count = _likely(p[t], blank, order, worst, least, np.exp(log_unit[t]), most, scratch)
            candidates = extend(p[t], count, tree, beam, work, worst)
        count = _best(keys, chosen, candidates, width, share, scratch)
        if count == 0:
            beam.counts[ENTRIES] = 0
            return t
        best = keys[chosen[0]]
        _keep(tree, beam, work, count)
        beam.log_scale[0] += np.log(best) + log_unit[t]
        beam.counts[FRAMES] += 1
    return len(p)


@njit(cache=True, nogil=True)
def _stay(p: np.ndarray, blank: int, tree: Tree, beam: Beam, work: Work, graph: Graph, share: float) -> float:
    """What each entry becomes without a new label; the probability that a new prefix must beat."""
    entries, frame = beam.counts[ENTRIES], beam.counts[FRAMES]
    # names of their own: each access through a tuple counts references, atomically
    nodes, in_blank, in_label = beam.node, beam.in_blank, beam.in_label
    rows, factor = tree.rows, tree.factor
    keys, stay_blank, stay_label, mark = work.key, work.stay_blank, work.stay_label, work.mark
    count, first = len(graph.letter_number), graph.first
    worst, best = np.inf, 0.0
    for i in range(entries):
        node = nodes[i]
        label = rows[node, LABEL]
        stay_blank[i] = (in_blank[i] + in_label[i]) * p[blank]
        stay_label[i] = 0.0
        if node != ROOT:
            stays = in_label[i]
            parent = rows[rows[node, PARENT], SLOT]
            if parent != NONE:  # its extension by this label is this very prefix
                above = nodes[parent]
                mark[_branch(count, first, rows[above, NODE], label, rows[node, ARC]), parent] = frame
                into = in_blank[parent]
                if rows[above, LABEL] != label:
                    into += in_label[parent]
                stays += into * factor[node]
            stay_label[i] = stays * p[label]
        keys[i] = stay_blank[i] + stay_label[i]
        worst, best = min(worst, keys[i]), max(best, keys[i])
    return max(worst if entries == len(nodes) else 0.0, share * best)


@njit(cache=True, nogil=True, inline="always")
def _branch(labels: int, first: np.ndarray, node: int, label: int, arc: int) -> int:
    """Which child ``label`` makes along ``arc`` of a prefix at a node of the lexicon: its row in `Work.mark`."""
    return label if arc == NONE else labels + arc - first[node]


@njit(cache=True, nogil=True)
def _likely(
    p: np.ndarray,
    blank: int,
    order: np.ndarray,
    above: float,
    least: float,
    unit: float,
    most: int,
    scratch: np.ndarray,
) -> int:
    """List the ``most`` most probable labels, best first, above ``above`` and, times ``unit``, at least ``least``."""
    count = 0
    for label in range(len(p)):
        if label != blank and p[label] > above and p[label] * unit >= least:
            order[count] = label
            count += 1
    count = largest(p, order, count, most, scratch)
    _sort(p, order, count)
    return count


@njit(cache=True, nogil=True)
def _best(keys: np.ndarray, chosen: np.ndarray, candidates: int, width: int, share: float, scratch: np.ndarray) -> int:
    """List the candidates that become the beam, best first; how many there are.

    Of equal ones those that stay go first, then what ``keys`` holds first.
    """
    count = 0
    for k in range(candidates):
        chosen[count] = k
        count += keys[k] > 0
    count = largest(keys, chosen, count, width, scratch)
    _sort(keys, chosen, count)
    while count and keys[chosen[count - 1]] < share * keys[chosen[0]]:
        count -= 1
    return count


@njit(cache=True, nogil=True)
def _keep(tree: Tree, beam: Beam, work: Work, count: int) -> None:
    """Make the ``count`` chosen candidates the beam, scaled so that the best has 1."""
    entries = beam.counts[ENTRIES]
    # names of their own: each access through a tuple counts references, atomically
    nodes, in_blank, in_label, counts = beam.node, beam.in_blank, beam.in_label, beam.counts
    keys, place, factors, chosen = work.key, work.place, work.factor, work.chosen
    stay_blank, stay_label = work.stay_blank, work.stay_label
    next_node, next_blank, next_label = work.next_node, work.next_blank, work.next_label
    rows, factor_of = tree.rows, tree.factor
    best = keys[chosen[0]]
    for i in range(entries):
        rows[nodes[i], SLOT] = NONE
    for rank in range(count):
        k = chosen[rank]
        if k < entries:
            next_node[rank] = nodes[k]
            next_blank[rank] = stay_blank[k] / best
            next_label[rank] = stay_label[k] / best
            continue
        parent, label, arc = nodes[place[k, ORIGIN]], place[k, LABEL], place[k, ARC]
        child = rows[parent, CHILD]  # the same prefix may have been here before
        while child != NONE and (rows[child, LABEL] != label or rows[child, ARC] != arc):
            child = rows[child, SIBLING]
        if child == NONE:
            child = counts[NODES]
            counts[NODES] += 1
            rows[child, PARENT], rows[child, SIBLING], rows[child, CHILD] = parent, rows[parent, CHILD], NONE
            for column in range(LABEL, WORD + 1):
                rows[child, column] = place[k, column]
            factor_of[child] = factors[k]
            rows[parent, CHILD] = child
        next_node[rank] = child
        next_blank[rank] = 0.0
        next_label[rank] = keys[k] / best
    for rank in range(count):
        nodes[rank] = next_node[rank]
        in_blank[rank] = next_blank[rank]
        in_label[rank] = next_label[rank]
        rows[next_node[rank], SLOT] = rank
    counts[ENTRIES] = count


@njit(cache=True, nogil=True)
def _sort(key: np.ndarray, chosen: np.ndarray, count: int) -> None:
    """Sort the first ``count`` indices into ``key`` in place, largest first; equal ones keep their order."""
    if count > INSERTION:
        _merge_sort(key, chosen[:count])
        return
    for r in range(1, count):
        k = chosen[r]
        j = r
        while j > 0 and key[chosen[j - 1]] < key[k]:
            chosen[j] = chosen[j - 1]
            j -= 1
        chosen[j] = k


@njit(cache=True, nogil=True)
def _merge_sort(key: np.ndarray, chosen: np.ndarray) -> None:
    chosen[:] = chosen[np.argsort(-key[chosen], kind="mergesort")]
