"""The inner loop of the CTC prefix beam search, compiled by Numba.

Prefixes are nodes of a tree, so that a prefix is never hashed: where the child of a beam entry is in the beam itself,
a mark says so. A prefix that was pruned and comes back is the same node again, as its child may have stayed.

Probabilities are linear, not logarithms, and scaled once a frame so that the best prefix has 1: nothing underflows
that is not 300 orders of magnitude below the best.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from asr.decoding import fusion
from asr.decoding._ctc_state import ENTRIES, FRAMES, NODES, NONE, ROOT, Beam, Tree, Work
from asr.decoding.fusion import Graph, Memory, arcs, follow

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
    most_labels: int,
    least: float,
) -> int:
    """Take in frames until all are done or ``tree`` may be too small; return how many were.

    ``p`` (T, V) are probabilities in units of their frame's largest, whose natural log is ``log_unit`` (T,). Only the
    ``most_labels`` most probable labels of a frame, of probability ``least`` at least, make new prefixes. Stops at a
    frame that leaves no prefix a probability above zero, with no entry in the beam.
    """
    width = len(beam.node)
    for t in range(len(p)):
        if beam.counts[NODES] + width > len(tree.parent):
            return t
        worst = _stay(p[t], blank, tree, beam, work, graph)
        if graph.has_words or graph.has_letters:
            count = _likely(p[t], blank, work.order, 0.0, least, np.exp(log_unit[t]), most_labels)
            candidates = _extend_along(p[t], count, tree, beam, work, worst, graph, memory)
        else:
            # of one entry's children no more than the beam holds can be kept; one more, as a repeat may come to nothing
            count = _likely(p[t], blank, work.order, worst, least, np.exp(log_unit[t]), min(most_labels, width + 1))
            candidates = _extend(p[t], count, tree, beam, work, worst)
        best = _keep_best(tree, beam, work, graph, memory, candidates)
        if best == 0:
            beam.counts[ENTRIES] = 0
            return t
        beam.log_scale[0] += np.log(best) + log_unit[t]
        beam.counts[FRAMES] += 1
    return len(p)


@njit(cache=True, nogil=True)
def _stay(p: np.ndarray, blank: int, tree: Tree, beam: Beam, work: Work, graph: Graph) -> float:
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
    worst = np.inf
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
        worst = min(worst, keys[i])
    return worst if entries == len(nodes) else 0.0


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
    count = _largest(p, order[:count], most)
    _sort(p, order[:count])
    return count


@njit(cache=True, nogil=True)
def _extend(p: np.ndarray, count: int, tree: Tree, beam: Beam, work: Work, worst: float) -> int:
    """List new prefixes of a probability above ``worst`` behind the entries; return the number of candidates.

    Entries and the ``count`` labels of ``work.order`` are both taken best first, so that a product not above ``worst``
    ends the loop.
    """
    entries, frame = beam.counts[ENTRIES], beam.counts[FRAMES]
    # names of their own: each access through a tuple counts references, atomically
    keys, origins, labels, mark, order = work.key, work.origin, work.label, work.mark, work.order
    in_blank, in_label = beam.in_blank, beam.in_label
    width = len(in_blank)
    candidates = entries
    for i in range(entries):
        total = in_blank[i] + in_label[i]
        last = tree.label[beam.node[i]]
        for k in range(count):
            label = order[k]
            key = total * p[label]
            if key <= worst:
                break
            if mark[i, label] == frame:
                continue
            if label == last:  # a repeat needs a blank between
                key = in_blank[i] * p[label]
                if key <= worst:
                    continue
            if candidates == len(keys):
                candidates, worst = _tighten(work, entries, width)
                if key <= worst:
                    continue
            keys[candidates] = key
            origins[candidates] = i
            labels[candidates] = label
            candidates += 1
    return candidates


@njit(cache=True, nogil=True)
def _extend_along(
    p: np.ndarray, count: int, tree: Tree, beam: Beam, work: Work, worst: float, graph: Graph, memory: Memory
) -> int:
    """`_extend` along a graph, whose scores are part of the probability of a new prefix from here on."""
    entries, frame = beam.counts[ENTRIES], beam.counts[FRAMES]
    keys, origins, labels, along = work.key, work.origin, work.label, work.arc
    mark, order, label_count, first = work.mark, work.order, len(graph.letter_number), graph.first
    candidates = entries
    most_added = graph.add.max()
    for i in range(entries):
        prefix = beam.node[i]
        node, history, letters = tree.node[prefix], tree.history[prefix], tree.letters[prefix]
        total = beam.in_blank[i] + beam.in_label[i]
        # models' log-probabilities are at most 0; so what a label adds is at most this
        bound = max(graph.letter_bonus, 0.0)
        if graph.has_words:
            bound += max(most_added - graph.ahead[node], 0.0)
        bound = np.exp(bound)
        for k in range(count):
            label = order[k]
            if total * p[label] * bound <= worst:
                break
            here = (beam.in_blank[i] if label == tree.label[prefix] else total) * p[label]
            if here * bound <= worst:
                continue
            low, high = arcs(graph, node, label) if graph.has_words else (0, 0)
            between = graph.has_words and label == graph.separator and node == fusion.ROOT
            if between and prefix != ROOT:
                continue  # a separator may come first, but not after another
            alone = low == high and (between or graph.is_open or not graph.has_words)  # along no arc of the lexicon
            for at in range(low, high + alone):
                arc = NONE if alone else at
                if mark[i, _branch(label_count, first, node, label, arc)] == frame:
                    continue
                key = here * np.exp(follow(graph, memory, node, history, letters, label, arc)[4])
                if key <= worst:
                    continue
                if candidates == len(keys):
                    candidates, worst = _tighten(work, entries, len(beam.node))
                    if key <= worst:
                        continue
                keys[candidates] = key
                origins[candidates] = i
                labels[candidates] = label
                along[candidates] = arc
                candidates += 1
    return candidates


@njit(cache=True, nogil=True)
def _largest(key: np.ndarray, chosen: np.ndarray, keep: int) -> int:
    """Move the indices of the ``keep`` largest keys to the front of ``chosen``; how many there are."""
    if len(chosen) <= keep:
        return len(chosen)
    cut = _threshold(key[chosen], keep)
    room = keep - np.sum(key[chosen] > cut)  # for those at the cut
    count = 0
    for k in chosen:
        tie = key[k] == cut and room > 0
        if key[k] > cut or tie:
            room -= tie
            chosen[count] = k
            count += 1
    return count


@njit(cache=True, nogil=True)
def _threshold(keys: np.ndarray, keep: int) -> float:
    """The ``keep``-th largest of ``keys``."""
    return np.partition(keys, len(keys) - keep)[len(keys) - keep]


@njit(cache=True, nogil=True)
def _tighten(work: Work, entries: int, width: int) -> tuple[int, float]:
    """Drop new prefixes that cannot be among the best ``width``; the candidates left, and what to beat from here on."""
    worst = _threshold(work.key, width)
    room = width - np.sum(work.key > worst) - np.sum(work.key[:entries] == worst)
    candidates = entries
    for k in range(entries, len(work.key)):
        tie = work.key[k] == worst and room > 0
        if work.key[k] > worst or tie:
            room -= tie
            work.key[candidates] = work.key[k]
            work.origin[candidates] = work.origin[k]
            work.label[candidates] = work.label[k]
            work.arc[candidates] = work.arc[k]
            candidates += 1
    return candidates, worst


@njit(cache=True, nogil=True)
def _keep_best(tree: Tree, beam: Beam, work: Work, graph: Graph, memory: Memory, candidates: int) -> float:
    """Make the best candidates the beam, best first, scaled so that the best has 1; return what it had.

    Of equal ones those that stay go first, then those that extend better entries.
    """
    entries, frontier = beam.counts[ENTRIES], beam.counts[NODES]
    # names of their own: each access through a tuple counts references, atomically
    nodes, in_blank, in_label, counts = beam.node, beam.in_blank, beam.in_label, beam.counts
    keys, origins, labels, along, chosen = work.key, work.origin, work.label, work.arc, work.chosen
    stay_blank, stay_label = work.stay_blank, work.stay_label
    next_node, next_blank, next_label = work.next_node, work.next_blank, work.next_label
    parents, last, arc_of, slots = tree.parent, tree.label, tree.arc, tree.slot
    youngest, siblings, factor = tree.child, tree.sibling, tree.factor
    count = 0
    for k in range(candidates):
        if keys[k] > 0:
            chosen[count] = k
            count += 1
    count = _largest(keys, chosen[:count], len(nodes))
    if count == 0:
        return 0.0
    _sort(keys, chosen[:count])
    best = keys[chosen[0]]
    for i in range(entries):
        slots[nodes[i]] = NONE
    for rank in range(count):
        k = chosen[rank]
        if k < entries:
            next_node[rank] = nodes[k]
            next_blank[rank] = stay_blank[k] / best
            next_label[rank] = stay_label[k] / best
            continue
        parent, label, arc = nodes[origins[k]], labels[k], along[k]
        child = youngest[parent]
        while child != NONE and (last[child] != label or arc_of[child] != arc):
            child = siblings[child]
        if child == NONE:
            child = counts[NODES]
            counts[NODES] += 1
            parents[child], last[child], arc_of[child], factor[child] = parent, label, arc, 1.0
            siblings[child] = youngest[parent]
            youngest[parent] = child
        next_node[rank] = child
        next_blank[rank] = 0.0
        next_label[rank] = keys[k] / best
    if graph.has_words or graph.has_letters:
        _place(tree, graph, memory, frontier, counts[NODES])
    for rank in range(count):
        nodes[rank] = next_node[rank]
        in_blank[rank] = next_blank[rank]
        in_label[rank] = next_label[rank]
        slots[next_node[rank]] = rank
    counts[ENTRIES] = count
    return best


@njit(cache=True, nogil=True)
def _place(tree: Tree, graph: Graph, memory: Memory, first: int, end: int) -> None:
    """Say where in the graph new prefixes are."""
    for child in range(first, end):
        parent, arc = tree.parent[child], tree.arc[child]
        node, history, letters, word, score = follow(
            graph, memory, tree.node[parent], tree.history[parent], tree.letters[parent], tree.label[child], arc
        )
        tree.node[child] = node
        tree.history[child] = history
        tree.letters[child] = letters
        tree.word[child] = word
        tree.factor[child] = np.exp(score)


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
