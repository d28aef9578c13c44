"""Words as sequences of labels, in a trie that a search walks along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asr.errors import InputError

NONE = -1
ROOT = 0


@dataclass(frozen=True)
class LexiconTrie:
    """A trie whose arcs carry labels; an arc that ends a word leads back to the root and carries the word too.

    Where a sequence of labels both ends a word and begins longer ones there are two arcs of the same label; homophones
    have one each. The root is node 0, and nodes come before those that they lead to. Arcs of node n are ``first[n]`` to
    ``first[n + 1] - 1``, sorted by label.

    Attributes:
        first: (nodes + 1,) int32.
        label, target, word: (arcs,) int32; ``word`` is NONE where none ends.
        separator: the label that ends every word, if one does: then the last word of an utterance may lack it.
    """

    first: np.ndarray
    label: np.ndarray
    target: np.ndarray
    word: np.ndarray
    separator: int = NONE

    @property
    def nodes(self) -> int:
        """How many there are."""
        return len(self.first) - 1


def build(entries: Sequence[tuple[int, Sequence[int]]], separator: int | None = None) -> LexiconTrie:
    """The lexicon of (word, labels) pairs; a word may have several.

    With a ``separator`` (the space of a character model) it ends every word, and is not among its labels. Raises
    InputError for a word without labels, and one that holds the separator.
    """
    if not entries:
        raise InputError("a lexicon needs at least one word")
    end = [] if separator is None else [separator]
    words = np.array([word for word, _ in entries], dtype=np.int32)
    lengths = np.array([len(labels) + len(end) for _, labels in entries])
    rows = np.full((len(entries), int(lengths.max())), NONE, dtype=np.int32)
    for row, (word, labels) in zip(rows, entries, strict=True):
        if not len(labels) or (separator is not None and separator in labels):
            raise InputError(
                f"word {word}: labels {list(labels)}: at least one is needed, and no separator ({separator})"
            )
        row[: len(labels) + len(end)] = [*labels, *end]
    order = np.lexsort(rows.T[::-1])
    rows, words, lengths = rows[order], words[order], lengths[order]
    columns = np.arange(rows.shape[1])
    # a node stands for each proper beginning of a word, where it differs from those of the row before
    inside = columns < lengths[:, None] - 1
    same = np.zeros_like(inside)
    same[1:] = np.logical_and.accumulate(rows[1:] == rows[:-1], axis=1) & inside[1:] & inside[:-1]
    new = inside & ~same
    number = np.zeros(rows.shape, dtype=np.int32)
    number[new] = 1 + np.arange(new.sum())
    for r in range(1, len(rows)):  # rows share the nodes of the last row that had such a beginning
        number[r, same[r]] = number[r - 1, same[r]]
    before = np.concatenate([np.zeros((len(rows), 1), dtype=np.int32), number[:, :-1]], axis=1)
    last = np.arange(len(rows)), lengths - 1
    source = np.concatenate([before[new], before[last]])
    label = np.concatenate([rows[new], rows[last]])
    target = np.concatenate([number[new], np.full(len(rows), ROOT, dtype=np.int32)])
    ends = np.concatenate([np.full(int(new.sum()), NONE, dtype=np.int32), words])
    arcs = np.unique(np.stack([source, label, target, ends], axis=1), axis=0)  # sorted; a word given twice is one
    first = np.searchsorted(arcs[:, 0], np.arange(int(new.sum()) + 2))
    _, labels, targets, numbers = np.ascontiguousarray(arcs.T.astype(np.int32))
    return LexiconTrie(first.astype(np.int32), labels, targets, numbers, NONE if separator is None else separator)
