"""Linear interpolation of n-gram models, merged into one back-off model, as SRILM's ``ngram -mix-lm`` does it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from asr.errors import InputError
from asr.lm.ngram import BOS, EOS, LOG_ZERO, ROOT, UNK, NGram, NGramOrder, Trie, build, step
from asr.lm.prune import set_backoffs
from asr.utils.numba_cache import njit
from asr.utils.numba_options import KERNEL

MAX_ROUNDS = 10_000  # of EM
LEAST_GAIN = 1e-9  # nats a word: the gain of a round after which EM ends


def mix(models: Sequence[NGram], weights: Sequence[float]) -> NGram:
    """Interpolate models linearly and merge them into one back-off model.

    The result has the n-grams of all of them. Each has the weighted sum of the probabilities that the models give it,
    by backing off where they lack it; a word that a model lacks has the probability 0 there, and is its <unk> in a
    history. Back-off weights are computed so that the probabilities of all words sum to one in every context.

    Args:
        models: the models.
        weights: of each model, above 0; they are divided by their sum.

    Returns:
        The mixed model, with the words of all.

    Raises:
        InputError: there are no models, or weights that do not fit.
    """
    if not models or len(models) != len(weights):
        raise InputError(f"{len(models)} models and {len(weights)} weights: give a weight for each")
    if not all(np.isfinite(weights)) or min(weights) <= 0:
        raise InputError(f"weights {', '.join(map(str, weights))}: use numbers above 0")
    words = tuple(dict.fromkeys([UNK, BOS, EOS, *(word for model in models for word in model.words)]))
    mixed = build(words, _union(models, words))
    probability = np.zeros(len(mixed.trie.word))
    shares = np.asarray(weights, dtype=np.float64) / sum(weights)
    for model, share in zip(models, shares, strict=True):
        ids = model.word_ids(words)
        is_known = np.array([word in model.index for word in words])
        probability += share * _probabilities(model.trie, mixed.trie, mixed.parents, ids, is_known)
    with np.errstate(divide="ignore"):
        mixed.trie.log_prob[:] = np.maximum(np.log(probability), LOG_ZERO)
    mixed.trie.log_prob[ROOT] = 0.0
    set_backoffs(mixed)
    return mixed


def _union(models: Sequence[NGram], words: Sequence[str]) -> list[NGramOrder]:
    """Return the n-grams of all models, without probabilities."""
    index = {word: i for i, word in enumerate(words)}
    ids = [np.array([index[word] for word in model.words]) for model in models]
    position = [np.zeros(1, dtype=np.int64) for _ in models]  # of each model's n-grams in the order below
    orders = []
    for order in range(1, max(model.order for model in models) + 1):
        keys = []
        for model, id_, below in zip(models, ids, position, strict=True):
            nodes = model.nodes(order) if order <= model.order else np.zeros(0, dtype=np.int64)
            parent = model.parents[nodes] - (int(model.nodes(order - 1)[0]) if len(nodes) else 0)
            keys.append(below[parent] * len(words) + id_[model.trie.word[nodes]])
        union, inverse = np.unique(np.concatenate(keys), return_inverse=True)
        position = np.split(inverse, np.cumsum([len(key) for key in keys])[:-1])
        zeros = np.zeros(len(union), dtype=np.float32)
        orders.append(NGramOrder(union // len(words), union % len(words), zeros, zeros))
    return orders


@njit(**KERNEL)
def _walk(
    trie: Trie,
    mixed: Trie,
    parents: np.ndarray,
    ids: np.ndarray,
    is_known: np.ndarray,
    state: np.ndarray,
    probability: np.ndarray,
) -> None:
    for node in range(1, len(mixed.word)):
        word = mixed.word[node]
        state[node], log_prob = step(trie, state[parents[node]], ids[word])
        probability[node] = np.exp(log_prob) if is_known[word] else 0.0


def _probabilities(trie: Trie, mixed: Trie, parents: np.ndarray, ids: np.ndarray, is_known: np.ndarray) -> np.ndarray:
    """Return the probability (nodes,) float64 that a model gives the last word of each n-gram of another trie."""
    probability = np.zeros(len(mixed.word))
    _walk(trie, mixed, parents, ids, is_known, np.zeros(len(mixed.word), dtype=np.int64), probability)
    return probability


def word_probabilities(models: Sequence[NGram], sentences: Iterable[Sequence[str]]) -> np.ndarray:
    """Return the probability that each model gives each word of sentences, and their ends: (words, models).

    Words that none of the models has are left out.
    """
    rows = []
    for sentence in sentences:
        known = np.array([[word in model.index for model in models] for word in sentence] + [[True] * len(models)])
        probs = np.stack([np.exp(model.log_probs(sentence)) for model in models], axis=1) * known
        rows.append(probs[known.any(1)])
    return np.concatenate(rows) if rows else np.zeros((0, len(models)))


def fit_weights(probabilities: np.ndarray) -> np.ndarray:
    """Find the weights (models,) that maximize the likelihood of a text, by expectation-maximization.

    Args:
        probabilities: (words, models): see `word_probabilities`.

    Raises:
        InputError: there are no words.
    """
    probabilities = probabilities[probabilities.sum(1) > 0]
    if not len(probabilities):
        raise InputError("there is no word in the text that the models know")
    weights = np.full(probabilities.shape[1], 1 / probabilities.shape[1])
    before = -np.inf
    for _ in range(MAX_ROUNDS):
        joint = probabilities * weights
        total = joint.sum(1)
        weights = (joint / total[:, None]).mean(0)
        after = float(np.log(total).mean())
        if after - before < LEAST_GAIN:
            break
        before = after
    return weights
