"""Build n-gram models from tables of n-grams in any order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asr.errors import InputError
from asr.lm.ngram import BOS, EOS, NONE, UNK, NGram, NGramOrder, build, step


@dataclass
class NGramTable:
    """The n-grams of one order, in any order."""

    rows: np.ndarray  # (n, order): word ids
    log_prob: np.ndarray  # (n,), natural log; NaN: to be computed by backing off
    backoff: np.ndarray  # (n,), natural log

    def plus(self, rows: np.ndarray, log_prob: float | np.ndarray) -> NGramTable:
        """Return the table with more n-grams, whose back-off weight is 1."""
        return NGramTable(
            np.concatenate([self.rows, rows]),
            np.concatenate([self.log_prob, np.full(len(rows), log_prob, dtype=np.float32)]),
            np.concatenate([self.backoff, np.zeros(len(rows), dtype=np.float32)]),
        )


def build_from_tables(words: Sequence[str], tables: Sequence[NGramTable]) -> NGram:
    """Build the model of n-grams in any order.

    Prefixes of n-grams that are missing are added, with the probability that backing off gives them.

    Args:
        words: the vocabulary, <unk>, <s> and </s> included; the model's begins with these.
        tables: the n-grams of each order, unigrams first.

    Returns:
        The model.

    Raises:
        InputError: an n-gram occurs twice.
    """
    special = (UNK, BOS, EOS)
    ordered = [*special, *(word for word in words if word not in special)]
    index = {word: i for i, word in enumerate(ordered)}
    new_id = np.array([index[word] for word in words])
    parts = [NGramTable(new_id[s.rows], s.log_prob, s.backoff) for s in tables]
    keys: list[np.ndarray] = []  # of each order, sorted: index of the parent * vocabulary size + last word
    orders: list[NGramOrder] = []
    for part in parts:
        parent = _positions(part.rows[:, :-1], keys, len(ordered))
        if (parent == NONE).any():
            return build_from_tables(ordered, _add_missing_prefixes(parts))
        key = parent * len(ordered) + part.rows[:, -1]
        sort = np.argsort(key, kind="stable")
        keys.append(key[sort])
        if (twice := np.flatnonzero(np.diff(keys[-1]) == 0)).size:
            raise InputError(f"the n-gram {' '.join(ordered[w] for w in part.rows[sort[twice[0]]])!r} occurs twice")
        orders.append(NGramOrder(parent[sort], part.rows[sort, -1], part.log_prob[sort], part.backoff[sort]))
    model = build(ordered, orders)
    trie = model.trie
    for node in np.flatnonzero(np.isnan(trie.log_prob)):  # shorter n-grams first
        context = model.parents[node]
        trie.log_prob[node] = trie.backoff[context] + step(trie, trie.suffix[context], trie.word[node])[1]
    return model


def _positions(rows: np.ndarray, keys: Sequence[np.ndarray], size: int) -> np.ndarray:
    """Return the index of each n-gram (n, k) among those of its order, NONE if it is missing; 0 for k = 0."""
    at = np.zeros(len(rows), dtype=np.int64)
    for column in range(rows.shape[1]):
        key = at * size + rows[:, column]
        place = np.minimum(np.searchsorted(keys[column], key), len(keys[column]) - 1)
        at = np.where((at != NONE) & (keys[column][place] == key), place, NONE) if len(keys[column]) else at * 0 + NONE
    return at


def _add_missing_prefixes(parts: Sequence[NGramTable]) -> list[NGramTable]:
    """Add the prefixes of longer n-grams that are missing, without a probability."""
    parts = list(parts)
    for k in range(len(parts) - 1, 0, -1):
        present = set(map(tuple, parts[k - 1].rows.tolist()))
        needed = set(map(tuple, parts[k].rows[:, :-1].tolist()))
        if missing := sorted(needed - present):
            parts[k - 1] = parts[k - 1].plus(np.array(missing, dtype=parts[k - 1].rows.dtype), np.nan)
    return parts
