"""A lexicon as a trie over labels, which the CTC beam search walks along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from asr.errors import InputError

NONE = -1
ROOT = 0
EMPTY = 1  # of word pieces: the node at the beginning of a word, before its first character


@dataclass(frozen=True)
class LexiconTrie:
    """A trie whose arcs carry labels; an arc that ends a word leads back to the root and carries that word.

    Where a label sequence is a word and also begins longer words, there are two arcs of the same label; each homophone
    has an arc of its own. The root is node 0, and a node has a lower number than the nodes below it.

    With word pieces, of which some begin a word, no arc ends a word: the next label that begins one does, or the end.
    Node 1 is the beginning of a word of which there is no character yet, and a node can be reached by several arcs (see
    `asr.decoding.ctc.pieces`).

    Attributes:
        arc_offsets: (nodes + 1,) int32; arcs of node n are ``arc_offsets[n]`` to ``arc_offsets[n + 1] - 1``, sorted by
            label.
        arc_label: (arcs,) int32; the label of each arc.
        arc_target: (arcs,) int32; the node that an arc leads to.
        arc_word: (arcs,) int32; the number of the word that an arc ends, or NONE.
        separator: the label that ends every word, or NONE. The last word of an utterance may lack it.
        begins_word: (labels,) bool; of word pieces, whether a label begins a word. Empty for other labels.
        node_word: (nodes,) int32; of word pieces, the number of the word that may end at a node, or NONE. Empty for
            other labels.
    """

    arc_offsets: np.ndarray
    arc_label: np.ndarray
    arc_target: np.ndarray
    arc_word: np.ndarray
    separator: int = NONE
    begins_word: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    node_word: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int32))

    @property
    def has_pieces(self) -> bool:
        """Whether the labels are word pieces."""
        return len(self.begins_word) > 0

    @property
    def num_nodes(self) -> int:
        """Number of nodes, the root included."""
        return len(self.arc_offsets) - 1


def build(entries: Sequence[tuple[int, Sequence[int]]], separator: int | None = None) -> LexiconTrie:
    """Build the trie of a lexicon.

    Args:
        entries: pairs of a word's number and its labels; a word may have several pronunciations.
        separator: the label that ends every word (the space of a character model); not among the labels of ``entries``.

    Returns:
        The trie.

    Raises:
        InputError: there are no entries, a word has no labels, or a word contains the separator.
    """
    if not entries:
        raise InputError("a lexicon needs at least one word")
    end = [] if separator is None else [separator]
    for word, labels in entries:
        if not len(labels) or (separator is not None and separator in labels):
            raise InputError(
                f"word {word}: labels {list(labels)}: give at least one label, and not the separator ({separator})"
            )
    words = np.array([word for word, _ in entries], dtype=np.int32)
    lengths = np.array([len(labels) + len(end) for _, labels in entries])
    rows = np.full((len(entries), int(lengths.max())), NONE, dtype=np.int32)
    for row, length, (_, labels) in zip(rows, lengths, entries, strict=True):
        row[:length] = [*labels, *end]
    order = np.lexsort(rows.T[::-1])
    rows, words, lengths = rows[order], words[order], lengths[order]
    node, is_new = number_nodes(rows, lengths)
    # an arc into each node but the root, and an arc for the last label of each word
    last = np.arange(len(rows)), lengths - 1
    above = np.concatenate([np.full((len(rows), 1), ROOT, dtype=np.int32), node[:, :-1]], axis=1)
    source = np.concatenate([above[is_new], above[last]])
    label = np.concatenate([rows[is_new], rows[last]])
    target = np.concatenate([node[is_new], np.full(len(rows), ROOT, dtype=np.int32)])
    word_of = np.concatenate([np.full(int(is_new.sum()), NONE, dtype=np.int32), words])
    # sorted; an entry that is given twice has one arc
    arcs = np.unique(np.stack([source, label, target, word_of], axis=1), axis=0)
    offsets = np.searchsorted(arcs[:, 0], np.arange(int(is_new.sum()) + 2)).astype(np.int32)
    _, arc_label, arc_target, arc_word = np.ascontiguousarray(arcs.T.astype(np.int32))
    return LexiconTrie(offsets, arc_label, arc_target, arc_word, NONE if separator is None else separator)


def number_nodes(rows: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give each proper prefix of the sorted, padded words (W, L) a node: its number, and whether it is new in its row.

    The number is 0 at and after the last label of a word.
    """
    is_prefix = np.arange(rows.shape[1]) < lengths[:, None] - 1
    as_above = np.zeros_like(is_prefix)  # equal prefixes are in neighboring rows
    as_above[1:] = np.logical_and.accumulate(rows[1:] == rows[:-1], axis=1) & is_prefix[1:] & is_prefix[:-1]
    is_new = is_prefix & ~as_above
    node = np.zeros(rows.shape, dtype=np.int32)
    node[is_new] = 1 + np.arange(is_new.sum())
    for row in range(1, len(rows)):  # one after the other: a row may share the nodes of several rows above
        node[row, as_above[row]] = node[row - 1, as_above[row]]
    return node, is_new
