"""New prefixes of the CTC prefix beam search without models."""

from __future__ import annotations

import numpy as np

from asr.decoding.ctc._state import ENTRIES, FRAMES, LABEL, ORIGIN, SearchData
from asr.utils.numba_cache import njit
from asr.utils.numba_options import INNER_KERNEL


@njit(**INNER_KERNEL)
def extend(p: np.ndarray, count: int, worst: float, data: SearchData) -> int:
    """List the new prefixes of a probability above ``worst`` as candidates, after the entries of the beam.

    Args:
        p: (V,) probabilities of the frame.
        count: number of labels in ``work.top_labels``.
        worst: the probability that a new prefix must exceed.
        data: the search, whose candidates are written.

    Returns:
        The number of candidates, entries included.
    """
    tree, beam, work = data.tree, data.beam, data.work
    entries, frame, width = beam.counts[ENTRIES], beam.counts[FRAMES], len(beam.node)
    totals, last_labels = work.next_blank, work.next_node  # free until the next beam is made
    for i in range(entries):
        totals[i] = beam.in_blank[i] + beam.in_label[i]
        last_labels[i] = tree.rows[beam.node[i], LABEL]
    candidates = entries
    for k in range(count):
        label = work.top_labels[k]
        # Entry i with label k can be among the best ``width`` only if i * k <= width + 1: each entry before it is at
        # least as good with each label before that, except for the one label that it would repeat.
        for i in range(entries if k == 0 else min(entries, (width + 1) // k)):
            prob = totals[i] * p[label]
            if prob <= worst:  # entries and labels are sorted: the following entries are no better
                break
            if label == last_labels[i]:  # a repeated label needs a blank between
                prob = beam.in_blank[i] * p[label]
            work.prob[candidates] = prob
            work.info[candidates, ORIGIN], work.info[candidates, LABEL] = i, label
            # No branch, which would be mispredicted half the time. A child in the beam got its share in `_stay`.
            candidates += (prob > worst) & (work.child_frame[label, i] != frame)
    return candidates
