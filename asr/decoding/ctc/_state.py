"""Memory of the CTC prefix beam search: the tree of prefixes, the beam, and scratch space."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from asr.decoding.ctc import fusion
from asr.decoding.ctc.fusion import Graph

ROOT = 0
NONE = -1
NODES, ENTRIES, FRAMES = range(3)  # what `Beam.counts` counts
# columns of `Work.place`; from LABEL to WORD a prefix takes them over from the candidate that it was
ORIGIN, LABEL, ARC, NODE, HISTORY, LETTERS, WORD = range(7)
PARENT, CHILD, SIBLING, SLOT = 0, 7, 8, 9  # and what else `Tree.rows` has


class Tree(NamedTuple):
    """All prefixes ever kept; the root is the empty one.

    What belongs to a prefix stands in one row, as its fields are read together, at a place that is not in the cache.
    """

    # (capacity, 10) int32: the PARENT and the last LABEL; with a graph the ARC of the lexicon by which that came, the
    # NODE of the lexicon, states of the word model (HISTORY) and of the label model (LETTERS), the WORD that ends with
    # the prefix, or NONE; the newest CHILD, the SIBLING, child of the same parent, that came before; the SLOT in the
    # beam, or NONE
    rows: np.ndarray
    factor: np.ndarray  # (capacity,): by which the graph has multiplied the probability, for the last label


class Beam(NamedTuple):
    """The prefixes kept, best first: (width,) each, of which the first ``counts[ENTRIES]`` are valid."""

    node: np.ndarray
    in_blank: np.ndarray  # probability of all paths that end in blank
    in_label: np.ndarray  # and in the prefix's last label
    counts: np.ndarray  # (3,) int64
    log_scale: np.ndarray  # (1,): natural log of what all probabilities are to be multiplied by


class Work(NamedTuple):
    """Scratch space."""

    key: np.ndarray  # total probability of each candidate, (width + spare,): entries that stay, then new prefixes
    # (width + spare, 7) int32 of a candidate: the entry that it extends (ORIGIN), by what LABEL, and in a graph along
    # what ARC, to what NODE, the states of the models there, and the WORD that ends
    place: np.ndarray
    factor: np.ndarray  # by which the graph multiplies its probability
    stay_blank: np.ndarray  # (width,)
    stay_label: np.ndarray
    chosen: np.ndarray  # candidates that become the beam
    scratch: np.ndarray  # (width + spare or labels,)
    mark: np.ndarray  # (children, width) int32: frame in which that child of that entry was in the beam
    order: np.ndarray  # (labels,): those that may extend a prefix, most probable first
    heard: np.ndarray  # (labels,): the probabilities of these, 0 of the others
    seen: np.ndarray  # (labels,) int64: for which entry and frame an arc had that label
    next_node: np.ndarray  # (width,)
    next_blank: np.ndarray
    next_label: np.ndarray


def make_tree(capacity: int, graph: Graph) -> Tree:
    """The tree that holds the root alone."""
    tree = Tree(np.full((capacity, 10), NONE, dtype=np.int32), np.ones(capacity))
    tree.rows[ROOT, SLOT] = 0
    tree.rows[ROOT, NODE] = fusion.ROOT
    tree.rows[ROOT, HISTORY] = graph.word_start
    tree.rows[ROOT, LETTERS] = graph.letter_start
    return tree


def grown(tree: Tree) -> Tree:
    """The same tree with twice the room."""
    return Tree(*(np.concatenate([array, array]) for array in tree))  # what is new is written before it is read


@njit(cache=True, nogil=True)
def compact(tree: Tree, beam: Beam) -> None:
    """Forget prefixes that nothing in the beam begins with; the others keep their order."""
    nodes, entries = beam.counts[NODES], beam.counts[ENTRIES]
    rows, factor = tree
    number = np.full(nodes, NONE, dtype=np.int32)
    number[ROOT] = ROOT
    for i in range(entries):
        node = beam.node[i]
        while number[node] == NONE:
            number[node] = 0  # until it has one
            node = rows[node, PARENT]
    rows[ROOT, CHILD] = NONE
    kept = 1
    for node in range(1, nodes):  # parents come before their children
        if number[node] == NONE:
            continue
        number[node] = kept
        parent = number[rows[node, PARENT]]
        rows[kept] = rows[node]
        rows[kept, PARENT], rows[kept, CHILD], rows[kept, SIBLING] = parent, NONE, rows[parent, CHILD]
        rows[parent, CHILD] = kept
        factor[kept] = factor[node]
        kept += 1
    for i in range(entries):
        beam.node[i] = number[beam.node[i]]
    beam.counts[NODES] = kept


def make_beam(width: int) -> Beam:
    """The beam before the first frame: the empty prefix, certain."""
    beam = Beam(np.zeros(width, dtype=np.int32), np.zeros(width), np.zeros(width), np.array([1, 1, 0]), np.zeros(1))
    beam.in_blank[0] = 1.0
    return beam


def make_work(width: int, labels: int, graph: Graph) -> Work:
    """Scratch space for a beam of ``width`` over so many labels."""
    branches = int(np.diff(graph.first).max())
    spare = 8 * width + int(width * math.log(width)) + 1024  # `extend` lists up to (width + 1) (2 + log width) prefixes
    return Work(
        key=np.empty(width + spare),
        place=np.full((width + spare, 7), NONE, dtype=np.int32),
        factor=np.ones(width + spare),
        stay_blank=np.empty(width),
        stay_label=np.empty(width),
        chosen=np.empty(width + spare, dtype=np.int32),
        scratch=np.empty(max(width + spare, labels)),
        mark=np.full((labels + branches, width), NONE, dtype=np.int32),
        order=np.empty(labels, dtype=np.int32),
        heard=np.zeros(labels),
        seen=np.full(labels, NONE, dtype=np.int64),
        next_node=np.empty(width, dtype=np.int32),
        next_blank=np.empty(width),
        next_label=np.empty(width),
    )
