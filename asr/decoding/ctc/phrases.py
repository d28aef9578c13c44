"""Favored phrases as n-grams of a language model: what a phrase adds to the score is part of its last word's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from asr.lm.ngram import BOS, EOS, ROOT, UNK, NGram, NGramOrder, build, step


def favor_phrases(ngram: NGram | None, weight: float, phrases: Mapping[tuple[str, ...], float]) -> NGram:
    """Return a model that scores as another one, times its weight, and favors phrases.

    A phrase's last word scores more after the words before it, whatever the history is. Words that the model lacks have
    the probability of its <unk>.

    Args:
        ngram: the model; None: all words are alike, at no cost.
        weight: factor of the model's log-probabilities.
        phrases: what phrases of two words or more add to the score, natural log.

    Returns:
        The model, to be used with the weight 1. Its values are scores, which can be above 0.
    """
    words = list(ngram.words) if ngram else [UNK, BOS, EOS]
    index = {word: number for number, word in enumerate(words)}
    for phrase in phrases:
        for word in phrase:
            if word not in index:
                index[word] = len(words)
                words.append(word)
    ids = {tuple(index[word] for word in phrase): float(bonus) for phrase, bonus in phrases.items()}
    rows, log_probs, backoffs = _tables(ngram, weight, len(words))
    known: list[dict[tuple[int, ...], None]] = [{} for _ in rows]  # n-grams that are added, by order
    for numbers in ids:
        for count in range(2, len(numbers) + 1):
            if count > len(rows):
                rows.append(np.empty((0, count), dtype=np.int32))
                log_probs.append(np.empty(0))
                backoffs.append(np.empty(0))
                known.append({})
            prefix = numbers[:count]
            if not (rows[count - 1] == prefix).all(1).any():
                known[count - 1][prefix] = None
    for order, added in enumerate(known):
        if added:
            scores = [_score(ngram, weight, prefix, len(words)) for prefix in added]
            rows[order] = np.concatenate([rows[order], np.array(list(added), dtype=np.int32)])
            log_probs[order] = np.concatenate([log_probs[order], scores])
            backoffs[order] = np.concatenate([backoffs[order], np.zeros(len(added))])
    for numbers, bonus in ids.items():
        for order in range(len(numbers) - 1, len(rows)):
            ends = (rows[order][:, -len(numbers) :] == numbers).all(1)
            log_probs[order] = log_probs[order] + bonus * ends
    return build(words, _orders(rows, log_probs, backoffs))


def _tables(
    ngram: NGram | None, weight: float, size: int
) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Words (n, order), weighted log-probabilities (n,) and back-off weights (n,) of each order of a model."""
    unigrams = np.arange(size, dtype=np.int32)[:, None]
    if ngram is None:
        return [unigrams], [np.zeros(size)], [np.zeros(size)]
    rows, log_probs, backoffs = [], [], []
    for order in range(1, ngram.order + 1):
        nodes, words = ngram.ngrams(order)
        log_prob, backoff = (weight * table[nodes].astype(np.float64) for table in ngram.trie[3:])
        if order == 1:  # words that it lacks
            new = size - len(nodes)
            unknown = ngram.index[UNK]
            words = unigrams
            log_prob = np.concatenate([log_prob, np.full(new, log_prob[unknown])])
            backoff = np.concatenate([backoff, np.zeros(new)])
        rows.append(words)
        log_probs.append(log_prob)
        backoffs.append(backoff)
    return rows, log_probs, backoffs


def _score(ngram: NGram | None, weight: float, words: Sequence[int], size: int) -> float:
    """Weighted log-probability of the last word after the others."""
    if ngram is None:
        return 0.0
    state, log_prob = ROOT, 0.0
    for word in words:
        if word < len(ngram.words):
            state, log_prob = step(ngram.trie, state, word)
        else:  # without a state, as it has no n-grams
            backoff = 0.0
            while state != ROOT:
                backoff += float(ngram.trie.backoff[state])
                state = int(ngram.trie.suffix[state])
            log_prob = backoff + float(ngram.trie.log_prob[1 + ngram.index[UNK]])
    return weight * log_prob


def _orders(
    rows: Sequence[np.ndarray], log_probs: Sequence[np.ndarray], backoffs: Sequence[np.ndarray]
) -> list[NGramOrder]:
    """Sort the n-grams of each order, and find the parent and the suffix of each."""
    orders: list[NGramOrder] = []
    keys: list[np.ndarray] = []  # of each order: its sorted n-grams, as bytes that sort as they do
    begins = [1]  # node of the first n-gram of each order
    for words, log_prob, backoff in zip(rows, log_probs, backoffs, strict=True):
        order = np.lexsort(words.T[::-1])
        words = words[order]
        keys.append(_keys(words))
        parent = np.zeros(len(words), dtype=np.int64)
        if words.shape[1] > 1:
            parent = np.searchsorted(keys[-2], _keys(words[:, :-1]))
        suffix = np.full(len(words), ROOT, dtype=np.int64)
        for length in range(1, words.shape[1]):  # the longest one is found last
            wanted = _keys(words[:, -length:])
            at = np.minimum(np.searchsorted(keys[length - 1], wanted), max(len(keys[length - 1]) - 1, 0))
            has = keys[length - 1][at] == wanted
            suffix[has] = begins[length - 1] + at[has]
        orders.append(NGramOrder(parent, words[:, -1], suffix, log_prob[order], backoff[order]))
        begins.append(begins[-1] + len(words))
    return orders


def _keys(words: np.ndarray) -> np.ndarray:
    """N-grams (n, order) as byte strings (n,) of one length, in the same order: big-endian ids."""
    rows = np.ascontiguousarray(words.astype(">u4"))
    return rows.view(np.dtype(("S", 4 * words.shape[1]))).reshape(-1)
