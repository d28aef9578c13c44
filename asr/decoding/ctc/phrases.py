"""Hot phrases as n-grams of a language model: the score of a phrase is added to that of its last word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from asr.lm.compact import CompactNGram
from asr.lm.ngram import BOS, EOS, ROOT, UNK, NGram, step
from asr.lm.tables import NGramTable, build_from_tables


def favor_phrases(ngram: NGram | CompactNGram | None, weight: float, phrases: Mapping[tuple[str, ...], float]) -> NGram:
    """Return a model that scores as another one, times its weight, plus the scores of phrases.

    The last word of a phrase gets the phrase's score after the words before it, whatever the earlier history is. Words
    that the model lacks have the probability of its <unk>.

    Args:
        ngram: the model; None: all words have the score 0.
        weight: factor of the model's natural logs.
        phrases: natural-log scores of phrases of two words or more.

    Returns:
        The model, to be used with the weight 1. Its values are scores, which can be above 0.
    """
    ngram = ngram.expand() if ngram else None
    words = list(ngram.words) if ngram else [UNK, BOS, EOS]
    index = {word: i for i, word in enumerate(words)}
    for word in (word for phrase in phrases for word in phrase):
        index.setdefault(word, len(index))
    ids = {tuple(index[word] for word in phrase): float(bonus) for phrase, bonus in phrases.items()}
    tables = _weighted_tables(ngram, weight, len(index))
    while len(tables) < max(map(len, ids), default=0):
        tables.append(NGramTable(np.empty((0, len(tables) + 1), dtype=np.int32), np.empty(0), np.empty(0)))
    for order, table in enumerate(tables[1:], start=2):
        needed = {phrase[:order] for phrase in ids if len(phrase) >= order}  # phrases and their prefixes
        if new := [row for row in needed if not (table.rows == row).all(1).any()]:
            scores = np.array([_score(ngram, weight, row) for row in new])
            tables[order - 1] = table.plus(np.array(new, dtype=np.int32), scores)
    for phrase, bonus in ids.items():
        for table in tables[len(phrase) - 1 :]:
            table.log_prob = table.log_prob + bonus * (table.rows[:, -len(phrase) :] == phrase).all(1)
    return build_from_tables(list(index), tables)


def _weighted_tables(ngram: NGram | None, weight: float, size: int) -> list[NGramTable]:
    """Return the n-grams of a model with weighted logs; unigrams of ``size`` words, those it lacks as <unk>."""
    unigrams = np.arange(size, dtype=np.int32)[:, None]
    if ngram is None:
        return [NGramTable(unigrams, np.zeros(size), np.zeros(size))]
    tables = []
    for order in range(1, ngram.order + 1):
        nodes, rows = ngram.ngrams(order)
        log_prob, backoff = (
            weight * logs[nodes].astype(np.float64) for logs in (ngram.trie.log_prob, ngram.trie.backoff)
        )
        table = NGramTable(rows, log_prob, backoff)
        tables.append(table.plus(unigrams[len(rows) :], log_prob[ngram.index[UNK]]) if order == 1 else table)
    return tables


def _score(ngram: NGram | None, weight: float, words: Sequence[int]) -> float:
    """Return the weighted natural log of the last word's probability after the others."""
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
