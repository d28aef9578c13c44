"""A lexicon over labels of several characters, in which a word is spelled by all label sequences that have its text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from asr.decoding.ctc.lexicon_trie import NONE, ROOT, LexiconTrie, number_nodes
from asr.errors import InputError

WORD_START = "▁"  # what SentencePiece writes before the first character of a word


def build(
    words: Sequence[str], texts: Mapping[int, str], labels: int, separator: int | None = None
) -> tuple[LexiconTrie, list[int]]:
    """Build the trie of words over labels of any number of characters.

    The nodes are those of a trie over characters, and a label is an arc over all of its characters: "bunny" is reached
    by "bun" and "ny" as well as by "b" and "unny". So a word takes few arcs, however many spellings it has.

    Args:
        words: the words; their numbers are their indices.
        texts: characters of each label that can be part of a word; those of a label that begins a word begin with
            `WORD_START`, unless there is a separator.
        labels: size of the vocabulary, blank included.
        separator: the label that ends every word; None: labels that begin words do.

    Returns:
        The trie, and the numbers of the words that cannot be spelled.

    Raises:
        InputError: there are no words, or an empty one.
    """
    if not words or not all(words):
        raise InputError("a lexicon needs at least one word, and no empty one")
    begin = "" if separator is not None else WORD_START
    parent, code, codes, word_node = _character_trie([begin + word for word in words])
    source, target, label = _arcs(parent, code, codes, texts)
    nodes = len(parent)
    node_word = np.full(nodes, NONE, dtype=np.int32)
    node_word[word_node] = np.arange(len(words))
    reached = _closure(np.isin(np.arange(nodes), (ROOT,) if begin == "" else (ROOT, 1)), source, target)
    alive = _closure((node_word != NONE) & reached, target, source)
    missing = np.flatnonzero(~reached[word_node]).tolist()
    node_word[~reached] = NONE
    kept = reached[source] & alive[target]
    source, target, label = source[kept], target[kept], label[kept]
    arc_word = np.full(len(source), NONE)
    if separator is not None:  # an arc to the root for each word
        ends = np.flatnonzero(node_word != NONE)
        source, target = np.r_[source, ends], np.r_[target, np.full(len(ends), ROOT)]
        label, arc_word = np.r_[label, np.full(len(ends), separator)], np.r_[arc_word, node_word[ends]]
    order = np.lexsort([target, label, source])
    offsets = np.searchsorted(source[order], np.arange(nodes + 1)).astype(np.int32)
    label, target, arc_word = (column[order].astype(np.int32) for column in (label, target, arc_word))
    if separator is not None:
        return LexiconTrie(offsets, label, target, arc_word, separator), missing
    begins_word = np.array([texts.get(number, "").startswith(WORD_START) for number in range(labels)])
    return LexiconTrie(offsets, label, target, arc_word, begins_word=begins_word, node_word=node_word), missing


def _character_trie(words: Sequence[str]) -> tuple[np.ndarray, np.ndarray, dict[str, int], np.ndarray]:
    """Return the trie of words: parent and character of each node, codes of characters, and the node of each word."""
    codes = {character: code for code, character in enumerate(sorted(set().union(*words)), start=1)}
    lengths = np.array([len(word) + 1 for word in words])
    rows = np.full((len(words), int(lengths.max())), NONE, dtype=np.int32)  # each word, and an end of code 0
    for row, length, word in zip(rows, lengths, words, strict=True):
        row[: length - 1] = [codes[character] for character in word]
        row[length - 1] = 0
    order = np.lexsort(rows.T[::-1])
    rows, lengths = rows[order], lengths[order]
    node, is_new = number_nodes(rows, lengths)
    above = np.concatenate([np.full((len(rows), 1), ROOT, dtype=np.int32), node[:, :-1]], axis=1)
    word_node = np.empty(len(words), dtype=np.int64)
    word_node[order] = node[np.arange(len(rows)), lengths - 2]
    return np.r_[ROOT, above[is_new]], np.r_[0, rows[is_new]], codes, word_node


def _arcs(
    parent: np.ndarray, code: np.ndarray, codes: Mapping[str, int], texts: Mapping[int, str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return source, target and label of each arc: of each label that ends at a node, read backwards from there."""
    size = len(codes) + 1
    states: dict[int, int] = {}  # a trie of the reversed labels: the state after a state and a character
    label_at = [NONE]
    for label, text in texts.items():
        state = 0
        for character in reversed(text):
            if character not in codes:
                break
            key = state * size + codes[character]
            if key not in states:
                states[key] = len(label_at)
                label_at.append(NONE)
            state = states[key]
        else:
            label_at[state] = label if label_at[state] == NONE and text else label_at[state]
    keys = np.array(sorted(states), dtype=np.int64)
    after = np.array([states[key] for key in keys.tolist()], dtype=np.int64)
    label_of = np.array(label_at)
    ends = np.arange(1, len(parent))  # where a label may end,
    at, state_of = ends, np.zeros(len(ends), dtype=np.int64)  # and how far it was read back
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    while len(ends) and len(keys):
        key_of = state_of * size + code[at]
        place = np.minimum(np.searchsorted(keys, key_of), len(keys) - 1)
        goes_on = keys[place] == key_of
        ends, state_of, at = ends[goes_on], after[place[goes_on]], parent[at[goes_on]]
        is_label = label_of[state_of] != NONE
        found.append((at[is_label], ends[is_label], label_of[state_of[is_label]]))
        below = at != ROOT
        ends, state_of, at = ends[below], state_of[below], at[below]
    none = np.zeros(0, dtype=np.int64)
    source, target, arc_label = (np.concatenate([none, *(columns[n] for columns in found)]) for n in range(3))
    return source, target, arc_label


def _closure(marked: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the nodes (nodes,) bool that can be reached along arcs from those that are marked."""
    while True:
        more = marked.copy()
        more[target[marked[source]]] = True
        if (more == marked).all():
            return marked
        marked = more
