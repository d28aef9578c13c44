"""Memory of the CTC prefix beam search: the tree of prefixes, the beam, and scratch space."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from asr.decoding import fusion
from asr.decoding.fusion import Graph

ROOT = 0
NONE = -1
NODES, ENTRIES, FRAMES = range(3)  # what `Beam.counts` counts
ORIGIN, LABEL, ARC, NODE, HISTORY, LETTERS, WORD = range(7)  # columns of `Work.place`


class Tree(NamedTuple):
    """All prefixes ever kept, (capacity,) each; the root is the empty one."""

    parent: np.ndarray
    label: np.ndarray  # the last of the prefix
    child: np.ndarray  # the newest one
    sibling: np.ndarray  # the child of the same parent that came before
    slot: np.ndarray  # place in the beam, or NONE
    # with a graph only:
    arc: np.ndarray  # of the lexicon, by which the last label came
    node: np.ndarray  # of the lexicon
    word: np.ndarray  # that ends with the prefix, or NONE
    history: np.ndarray  # state of the word model
    letters: np.ndarray  # and of the label model
    factor: np.ndarray  # by which the graph has multiplied the probability, for the last label


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
    # (width + spare, 7) int32 of a candidate: the entry it extends and by what label; and in a graph along what arc, to
    # what node, the histories of words and letters there, and the word that ends
    place: np.ndarray
    factor: np.ndarray  # by which the graph multiplies its probability
    stay_blank: np.ndarray  # (width,)
    stay_label: np.ndarray
    chosen: np.ndarray  # candidates that become the beam
    mark: np.ndarray  # (width, children) int32: frame in which that child of that entry was in the beam
    order: np.ndarray  # (labels,): those that may extend a prefix, most probable first
    heard: np.ndarray  # (labels,): the probabilities of these, 0 of the others
    seen: np.ndarray  # (labels,) int64: for which entry and frame an arc had that label
    next_node: np.ndarray  # (width,)
    next_blank: np.ndarray
    next_label: np.ndarray


def make_tree(capacity: int, graph: Graph) -> Tree:
    """The tree that holds the root alone."""
    integers = {name: np.full(capacity, NONE, dtype=np.int32) for name in Tree._fields if name != "factor"}
    tree = Tree(**integers, factor=np.ones(capacity))
    tree.slot[ROOT] = 0
    tree.node[ROOT] = fusion.ROOT
    tree.history[ROOT] = graph.word_start
    tree.letters[ROOT] = graph.letter_start
    return tree


def grown(tree: Tree) -> Tree:
    """The same tree with twice the room."""
    return Tree(*(np.concatenate([array, np.full_like(array, NONE)]) for array in tree))


@njit(cache=True, nogil=True)
def compact(tree: Tree, beam: Beam) -> None:
    """Forget prefixes that nothing in the beam begins with; the others keep their order."""
    nodes, entries = beam.counts[NODES], beam.counts[ENTRIES]
    number = np.full(nodes, NONE, dtype=np.int32)
    number[ROOT] = ROOT
    for i in range(entries):
        node = beam.node[i]
        while number[node] == NONE:
            number[node] = 0  # until it has one
            node = tree.parent[node]
    tree.child[ROOT] = NONE
    kept = 1
    for node in range(1, nodes):  # parents come before their children
        if number[node] == NONE:
            continue
        number[node] = kept
        parent = number[tree.parent[node]]
        tree.parent[kept] = parent
        tree.sibling[kept] = tree.child[parent]
        tree.child[parent] = kept
        tree.child[kept] = NONE
        tree.label[kept] = tree.label[node]
        tree.slot[kept] = tree.slot[node]
        tree.arc[kept] = tree.arc[node]
        tree.node[kept] = tree.node[node]
        tree.word[kept] = tree.word[node]
        tree.history[kept] = tree.history[node]
        tree.letters[kept] = tree.letters[node]
        tree.factor[kept] = tree.factor[node]
        kept += 1
    for array in (tree.child, tree.slot, tree.arc, tree.word):
        array[kept:nodes] = NONE
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
    spare = 8 * width + 1024
    return Work(
        key=np.empty(width + spare),
        place=np.full((width + spare, 7), NONE, dtype=np.int32),
        factor=np.ones(width + spare),
        stay_blank=np.empty(width),
        stay_label=np.empty(width),
        chosen=np.empty(width + spare, dtype=np.int32),
        mark=np.full((width, labels + branches), NONE, dtype=np.int32),
        order=np.empty(labels, dtype=np.int32),
        heard=np.zeros(labels),
        seen=np.full(labels, NONE, dtype=np.int64),
        next_node=np.empty(width, dtype=np.int32),
        next_blank=np.empty(width),
        next_label=np.empty(width),
    )
