"""The inner loop of the CTC prefix beam search, compiled by Numba.

In the form of the papers, and of the plain search in its tests (``p``: a frame's probabilities of the labels)::

    beam = {empty prefix: (1, 0)}            # probability of the paths that end in blank, and in the last label
    for p in frames:
        new = {}                             # (0, 0) for each prefix that is not there
        for prefix, (in_blank, in_label) in beam:
            new[prefix].in_blank += (in_blank + in_label) * p[blank]                      # _stay
            new[prefix].in_label += in_label * p[last label of prefix]                    # _stay
            for label in likely labels of p:                                              # _top_labels
                source = in_blank if label is the last of prefix else in_blank + in_label
                new[prefix + label].in_label += source * p[label] * factor(prefix, label)
                                             # if prefix + label is in the beam: _stay; else: extend, extend_with_models
        beam = the best of new               # _choose, _replace_beam

``factor`` is by how much the models change the probability; without models it is 1.

What differs is for speed alone:

- Prefixes are nodes of a tree, so none is hashed or compared. If a child of an entry is in the beam itself, the child
  looks up its parent and collects the parent's share in `_stay`, and a mark (`Work.child_frame`) keeps it from being
  listed as new. A prefix that was dropped and comes back is the same node again, as its child may have stayed.
- Probabilities are linear, in units in which the best prefix has 1, instead of logarithms: nothing underflows that is
  less than 300 orders of magnitude below the best prefix.
- New prefixes that cannot be among the best are not listed.
"""

from __future__ import annotations

import numpy as np

from asr.decoding.ctc._extend import extend
from asr.decoding.ctc._extend_models import extend_with_models
from asr.decoding.ctc._select import keep_largest, sort_by_key
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
    SearchData,
    Work,
    child_row,
)
from asr.utils.numba_cache import njit
from asr.utils.numba_options import INLINE_KERNEL, KERNEL


@njit(**KERNEL)
def advance(
    p: np.ndarray,
    log_unit: np.ndarray,
    blank: int,
    data: SearchData,
    max_labels: int,
    min_label_prob: float,
    min_ratio: float,
) -> int:
    """Search frames until all are done or the tree may become full.

    It also stops, with no entry in the beam, at a frame that leaves no prefix a probability above zero.

    Args:
        p: (T, V) float64 probabilities in units of each frame's largest.
        log_unit: (T,) float64 natural log of that unit.
        blank: index of blank.
        data: the search, changed in place. With a neural model T is 1, as the log-probabilities in the data are for the
            entries of the present beam.
        max_labels: number of a frame's most probable labels that extend prefixes.
        min_label_prob: probability that these labels have at least.
        min_ratio: prefixes below this fraction of the best one's probability are dropped.

    Returns:
        The number of frames searched.
    """
    tree, beam, work, graph = data.tree, data.beam, data.work, data.graph
    width = len(beam.node)
    for t in range(len(p)):
        if beam.counts[NODES] + width > len(tree.rows):
            return t
        worst = _stay(p[t], blank, min_ratio, data)
        unit = np.exp(log_unit[t])
        if graph.has_words or graph.has_label_lm or graph.has_neural_lm:
            # no bound by ``worst``: models may raise the probability of a new prefix
            count = _top_labels(p[t], blank, work, 0.0, unit, min_label_prob, max_labels)
            candidates = extend_with_models(p[t], count, worst, data)
        else:
            # of an entry's children no more than the width are kept; and one, the repeat, may have no probability
            count = _top_labels(p[t], blank, work, worst, unit, min_label_prob, min(max_labels, width + 1))
            candidates = extend(p[t], count, worst, data)
        count = _choose(work, candidates, width, min_ratio)
        if count == 0:
            beam.counts[ENTRIES] = 0
            return t
        best = work.prob[work.chosen[0]]
        _replace_beam(count, data)
        beam.log_scale[0] += np.log(best) + log_unit[t]
        beam.counts[FRAMES] += 1
    return len(p)


@njit(**INLINE_KERNEL)
def _stay(p: np.ndarray, blank: int, min_ratio: float, data: SearchData) -> float:
    """List each entry without a new label as a candidate; the probability that a new prefix must exceed."""
    tree, beam, work, graph = data.tree, data.beam, data.work, data.graph
    entries, frame = beam.counts[ENTRIES], beam.counts[FRAMES]
    labels = len(graph.label_lm_id)
    worst, best = np.inf, 0.0
    for i in range(entries):
        node = beam.node[i]
        label = tree.rows[node, LABEL]
        work.stay_blank[i] = (beam.in_blank[i] + beam.in_label[i]) * p[blank]
        work.stay_label[i] = 0.0
        if node != ROOT:
            in_label = beam.in_label[i]
            parent = tree.rows[tree.rows[node, PARENT], SLOT]
            if parent != NONE:  # the parent, extended by this label, is this very prefix
                above = beam.node[parent]
                row = child_row(labels, graph.arc_offsets, tree.rows[above, NODE], label, tree.rows[node, ARC])
                work.child_frame[row, parent] = frame
                source = beam.in_blank[parent]
                if tree.rows[above, LABEL] != label:  # a repeated label needs a blank between
                    source += beam.in_label[parent]
                in_label += source * tree.factor[node]
            work.stay_label[i] = in_label * p[label]
        work.prob[i] = work.stay_blank[i] + work.stay_label[i]
        worst, best = min(worst, work.prob[i]), max(best, work.prob[i])
    # a full beam drops the worst entry for a better prefix; with room left any prefix is kept that is near the best
    return max(worst if entries == len(beam.node) else 0.0, min_ratio * best)


@njit(**INLINE_KERNEL)
def _top_labels(
    p: np.ndarray, blank: int, work: Work, above: float, unit: float, min_prob: float, max_labels: int
) -> int:
    """List the labels that may extend prefixes, most probable first: above ``above``, and, in units, ``min_prob``."""
    count = 0
    for label in range(len(p)):
        if label != blank and p[label] > above and p[label] * unit >= min_prob:
            work.top_labels[count] = label
            count += 1
    count = keep_largest(p, work.top_labels, count, max_labels, work.scratch)
    sort_by_key(p, work.top_labels, count, work.chosen)
    return count


@njit(**INLINE_KERNEL)
def _choose(work: Work, candidates: int, width: int, min_ratio: float) -> int:
    """List the candidates that become the beam, best first; of equal ones those that come first. Their number."""
    count = 0
    for k in range(candidates):
        work.chosen[count] = k
        count += work.prob[k] > 0
    count = keep_largest(work.prob, work.chosen, count, width, work.scratch)
    sort_by_key(work.prob, work.chosen, count, work.next_node)
    while count and work.prob[work.chosen[count - 1]] < min_ratio * work.prob[work.chosen[0]]:
        count -= 1
    return count


@njit(**INLINE_KERNEL)
def _replace_beam(count: int, data: SearchData) -> None:
    """Make the ``count`` chosen candidates the beam, in units in which the best has 1."""
    tree, beam, work = data.tree, data.beam, data.work
    entries = beam.counts[ENTRIES]
    best = work.prob[work.chosen[0]]
    for i in range(entries):
        tree.rows[beam.node[i], SLOT] = NONE
    # into arrays of their own: the old entries are read until the last candidate is placed
    for rank in range(count):
        k = work.chosen[rank]
        if k < entries:
            work.next_node[rank] = beam.node[k]
            work.next_blank[rank] = work.stay_blank[k] / best
            work.next_label[rank] = work.stay_label[k] / best
        else:
            work.next_node[rank] = _node_of(k, data)
            work.next_blank[rank] = 0.0
            work.next_label[rank] = work.prob[k] / best
    for rank in range(count):
        beam.node[rank] = work.next_node[rank]
        beam.in_blank[rank] = work.next_blank[rank]
        beam.in_label[rank] = work.next_label[rank]
        tree.rows[work.next_node[rank], SLOT] = rank
    beam.counts[ENTRIES] = count


@njit(**INLINE_KERNEL)
def _node_of(k: int, data: SearchData) -> int:
    """Return the node of a candidate that is a new prefix, and make it unless the prefix was in the beam before."""
    tree, beam, work = data.tree, data.beam, data.work
    parent, label, arc = beam.node[work.info[k, ORIGIN]], work.info[k, LABEL], work.info[k, ARC]
    child = tree.rows[parent, CHILD]
    while child != NONE and (tree.rows[child, LABEL] != label or tree.rows[child, ARC] != arc):
        child = tree.rows[child, SIBLING]
    if child == NONE:
        child = beam.counts[NODES]
        beam.counts[NODES] += 1
        tree.rows[child, PARENT], tree.rows[child, CHILD] = parent, NONE
        tree.rows[child, SIBLING] = tree.rows[parent, CHILD]
        for column in range(LABEL, WORD + 1):
            tree.rows[child, column] = work.info[k, column]
        tree.factor[child] = work.factor[k]
        tree.rows[parent, CHILD] = child
    return child
