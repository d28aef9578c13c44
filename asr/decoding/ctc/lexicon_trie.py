"""A lexicon as a trie over labels, which the CTC beam search walks along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

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


def merge(base: LexiconTrie, added: LexiconTrie, first_word: int) -> LexiconTrie:
    """Add the words of a small lexicon to a large one, in the time that copying the large one takes.

    Args:
        base: the large lexicon.
        added: a lexicon of other words, over the same labels and with the same separator.
        first_word: what to add to the word numbers of ``added``.

    Returns:
        A lexicon in which the nodes of ``base`` keep their numbers. Of words that are spelled alike in word pieces,
        those of ``added`` are found.
    """
    nodes = base.num_nodes
    place = np.full(added.num_nodes, NONE, dtype=np.int64)  # the nodes of ``added`` in the result
    place[ROOT] = ROOT
    if added.has_pieces:
        place[EMPTY] = EMPTY
    rows: list[tuple[int, int, int, int]] = []  # new arcs: source, label, target, word
    for node in range(added.num_nodes):
        for arc in range(added.arc_offsets[node], added.arc_offsets[node + 1]):
            source, label, below = int(place[node]), int(added.arc_label[arc]), int(added.arc_target[arc])
            if added.arc_word[arc] != NONE:
                rows.append((source, label, ROOT, first_word + int(added.arc_word[arc])))
                continue
            known = _inner_arc(base, source, label) if source < base.num_nodes else NONE
            if known != NONE:
                place[below] = base.arc_target[known]
                continue
            if place[below] == NONE:
                place[below] = nodes
                nodes += 1
            rows.append((source, label, int(place[below]), NONE))
    source, label, target, word = np.array(sorted(rows), dtype=np.int64).reshape(-1, 4).T
    counts = np.zeros(nodes, dtype=np.int64)
    counts[: base.num_nodes] = np.diff(base.arc_offsets)
    first = np.concatenate([[0], np.cumsum(counts)])  # arc of each node in ``base``; new nodes are at its end
    at = first[source]
    for row, (begin, count, wanted) in enumerate(zip(at.tolist(), counts[source].tolist(), label, strict=True)):
        at[row] += np.searchsorted(base.arc_label[begin : begin + count], wanted)
    counts += np.bincount(source, minlength=nodes)
    node_word = base.node_word
    if added.has_pieces:
        node_word = np.concatenate([node_word, np.full(nodes - base.num_nodes, NONE, dtype=np.int32)])
        ends = np.flatnonzero(added.node_word != NONE)
        node_word[place[ends]] = first_word + added.node_word[ends]
    return replace(
        base,
        arc_offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int32),
        arc_label=np.insert(base.arc_label, at, label),
        arc_target=np.insert(base.arc_target, at, target),
        arc_word=np.insert(base.arc_word, at, word),
        node_word=node_word,
    )


def _inner_arc(lexicon: LexiconTrie, node: int, label: int) -> int:
    """Return the arc of a label that ends no word, or NONE."""
    begin, end = lexicon.arc_offsets[node : node + 2]
    arc = begin + np.searchsorted(lexicon.arc_label[begin:end], label)
    while arc < end and lexicon.arc_label[arc] == label:
        if lexicon.arc_word[arc] == NONE:
            return int(arc)
        arc += 1
    return NONE


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
