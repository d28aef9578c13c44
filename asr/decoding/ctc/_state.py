"""Data of the CTC prefix beam search: the tree of prefixes, the beam, and scratch space."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from asr.decoding.ctc import lexicon_trie
from asr.decoding.ctc.fusion import Graph
from asr.decoding.ctc.model_scores import STATE_BITS, NGramCache
from asr.utils.numba_cache import njit
from asr.utils.numba_options import INLINE_KERNEL, KERNEL

ROOT = 0
NONE = -1
NODES, ENTRIES, FRAMES = range(3)  # indices of `Beam.counts`
# columns of `Work.info`; a candidate that is kept hands LABEL to WORD on to its row of `Tree.rows`
ORIGIN, LABEL, ARC, NODE, NGRAM_STATE, PHRASE_STATE, LABEL_STATE, WORD = range(8)
PARENT, CHILD, SIBLING, SLOT = 0, 8, 9, 10  # the other columns of `Tree.rows`


class Tree(NamedTuple):
    """All prefixes ever kept, as nodes; the root is the empty prefix.

    A row holds all fields of a prefix, as they are read together and a row is seldom in the processor's cache.
    """

    # (capacity, 11) int32:
    # PARENT       the prefix without its last label
    # LABEL        the last label
    # ARC          the lexicon's arc of the last label, or NONE
    # NODE         the lexicon's node after the prefix
    # NGRAM_STATE  state of the n-gram model of words
    # PHRASE_STATE state of the automaton of phrases
    # LABEL_STATE  state of the n-gram model of labels
    # WORD         the word that ends with the prefix, or NONE
    # CHILD        the newest child, or NONE
    # SIBLING      the next older child of the same parent, or NONE
    # SLOT         the index in the beam, or NONE
    rows: np.ndarray
    factor: np.ndarray  # (capacity,): factor of the probability by the models, for the last label


class Beam(NamedTuple):
    """The prefixes kept, best first: (width,) each, of which the first ``counts[ENTRIES]`` are valid.

    Probabilities are linear, in units in which the best prefix had 1 after the last frame.
    """

    node: np.ndarray  # int32: the prefix
    in_blank: np.ndarray  # probability of the paths that end in blank
    in_label: np.ndarray  # probability of the paths that end in the prefix's last label
    counts: np.ndarray  # (3,) int64: NODES in the tree, ENTRIES in the beam, FRAMES so far
    log_scale: np.ndarray  # (1,): natural log of the unit


class Work(NamedTuple):
    """Scratch space. Candidates for the next beam are its entries, which stay, followed by new prefixes."""

    prob: np.ndarray  # (candidates,): total probability
    info: np.ndarray  # (candidates, 8) int32: the entry that is extended (ORIGIN), and fields as in `Tree.rows`
    factor: np.ndarray  # (candidates,): factor of the probability by the models
    chosen: np.ndarray  # (candidates or labels,) int32: the candidates that become the beam, best first
    stay_blank: np.ndarray  # (width,): `Beam.in_blank` after the frame of the prefixes that stay
    stay_label: np.ndarray  # (width,): `Beam.in_label` after it
    child_frame: np.ndarray  # (children, width) int32: last frame with an entry's child (`child_row`) in the beam
    top_labels: np.ndarray  # (labels,) int32: the labels that may extend prefixes, most probable first
    label_prob: np.ndarray  # (labels,): their probabilities, 0 for all other labels
    arc_stamp: np.ndarray  # (labels,) int64: the last frame and entry in which an arc had the label
    next_node: np.ndarray  # (width,) int32: the next beam's arrays
    next_blank: np.ndarray  # (width,)
    next_label: np.ndarray  # (width,)
    scratch: np.ndarray  # (candidates or labels,)


class SearchData(NamedTuple):
    """All that the compiled search reads and writes."""

    tree: Tree
    beam: Beam
    work: Work
    graph: Graph
    cache: NGramCache
    neural_log_probs: np.ndarray  # (entries, V) float32: natural logs of the labels after each entry, by a neural model


def make_tree(capacity: int, graph: Graph) -> Tree:
    """Return a tree that holds the root alone."""
    tree = Tree(np.full((capacity, 11), NONE, dtype=np.int32), np.ones(capacity))
    tree.rows[ROOT, SLOT] = 0
    tree.rows[ROOT, NODE] = lexicon_trie.ROOT
    tree.rows[ROOT, NGRAM_STATE], tree.rows[ROOT, PHRASE_STATE] = graph.word_start & STATE_BITS, graph.word_start >> 32
    tree.rows[ROOT, LABEL_STATE] = graph.label_lm_start
    return tree


def grow(tree: Tree) -> Tree:
    """Return a copy of the tree with twice the capacity."""
    return Tree(*(np.concatenate([array, array]) for array in tree))  # new rows are written before they are read


def compact(tree: Tree, beam: Beam) -> None:
    """Remove the prefixes that no prefix in the beam begins with; the others keep their order."""
    _compact(tree, beam, np.full(beam.counts[NODES], NONE, dtype=np.int32))


@njit(**KERNEL)
def _compact(tree: Tree, beam: Beam, new_node: np.ndarray) -> None:
    """Do what `compact` does; ``new_node`` (nodes,) is NONE, and then the new number of each prefix."""
    nodes, entries = beam.counts[NODES], beam.counts[ENTRIES]
    rows, factor = tree
    new_node[ROOT] = ROOT
    for i in range(entries):
        node = beam.node[i]
        while new_node[node] == NONE:
            new_node[node] = 0  # marked as kept; numbered below
            node = rows[node, PARENT]
    rows[ROOT, CHILD] = NONE
    kept = 1
    for node in range(1, nodes):  # parents come before their children
        if new_node[node] == NONE:
            continue
        new_node[node] = kept
        parent = new_node[rows[node, PARENT]]
        for column in range(rows.shape[1]):
            rows[kept, column] = rows[node, column]
        rows[kept, PARENT], rows[kept, CHILD], rows[kept, SIBLING] = parent, NONE, rows[parent, CHILD]
        rows[parent, CHILD] = kept
        factor[kept] = factor[node]
        kept += 1
    for i in range(entries):
        beam.node[i] = new_node[beam.node[i]]
    beam.counts[NODES] = kept


def make_beam(width: int) -> Beam:
    """Return the beam before the first frame: the empty prefix, of probability 1."""
    beam = Beam(np.zeros(width, dtype=np.int32), np.zeros(width), np.zeros(width), np.array([1, 1, 0]), np.zeros(1))
    beam.in_blank[0] = 1.0
    return beam


def make_work(width: int, labels: int, graph: Graph) -> Work:
    """Return scratch space for a beam of ``width`` entries over a number of labels."""
    most_arcs = int(np.diff(graph.arc_offsets).max())
    # `extend` lists up to (width + 1) (2 + log width) new prefixes
    candidates = 9 * width + int(width * math.log(width)) + 1024
    return Work(
        prob=np.empty(candidates),
        info=np.full((candidates, 8), NONE, dtype=np.int32),
        factor=np.ones(candidates),
        chosen=np.empty(max(candidates, labels), dtype=np.int32),
        stay_blank=np.empty(width),
        stay_label=np.empty(width),
        child_frame=np.full((labels + most_arcs, width), NONE, dtype=np.int32),
        top_labels=np.empty(labels, dtype=np.int32),
        label_prob=np.zeros(labels),
        arc_stamp=np.full(labels, NONE, dtype=np.int64),
        next_node=np.empty(width, dtype=np.int32),
        next_blank=np.empty(width),
        next_label=np.empty(width),
        scratch=np.empty(max(candidates, labels)),
    )


@njit(**INLINE_KERNEL)
def child_row(labels: int, arc_offsets: np.ndarray, node: int, label: int, arc: int) -> int:
    """Return the row in `Work.child_frame` of a prefix's child by ``label`` along ``arc``, or along no arc (NONE).

    ``node`` is the prefix's node of the lexicon, ``labels`` the number of labels.
    """
    return label if arc == NONE else labels + arc - arc_offsets[node]
