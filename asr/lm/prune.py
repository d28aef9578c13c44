"""Entropy pruning: leave out the n-grams that the model hardly misses (Stolcke 1998, arXiv cs/0006025)."""

from __future__ import annotations

import numpy as np
from numba import njit

from asr.errors import InputError
from asr.lm.ngram import NGram, Order, Trie, build, step


def prune(model: NGram, threshold: float) -> NGram:
    """The model without n-grams of two words or more whose loss raises the perplexity by a share below ``threshold``.

    Each is judged by itself, with the whole model as it was (Stolcke's equation 5); what longer n-grams that stay begin
    with stays too. Back-off weights are computed anew, so that probabilities sum to one.
    """
    if not threshold >= 0:
        raise InputError(f"pruning threshold {threshold}: 0 or more is wanted")
    trie, parents = model.trie, model.parents
    size = len(trie.word)
    # p(history) of each n-gram as a history; a sentence surely begins with <s>
    history = np.zeros(size)
    ranges = [model.nodes(n) for n in range(1, model.order + 1)]
    for nodes in ranges:
        history[nodes] = history[parents[nodes]] + np.where(nodes == model.start, 0, trie.log_prob[nodes])
    kept = np.ones(size, dtype=bool)
    for nodes in reversed([nodes for nodes in ranges[1:] if len(nodes)]):
        context = parents[nodes]
        shorter = _shorter(trie, parents, nodes)
        p, q = np.exp(trie.log_prob[nodes], dtype=np.float64), np.exp(shorter)
        rest = 1 - np.bincount(context, p, size)[context]  # probability of words that do not follow here
        rest_shorter = 1 - np.bincount(context, q, size)[context]
        with np.errstate(divide="ignore", invalid="ignore"):
            old, new = np.log(rest / rest_shorter), np.log((rest + p) / (rest_shorter + q))
            loss = -np.exp(history[context]) * (p * (shorter + new - np.log(p)) + (new - old) * rest)
        longer = np.arange(nodes[-1] + 1, size)
        extended = np.bincount(parents[longer[kept[longer]]], minlength=size)[nodes] > 0
        kept[nodes] = ~(np.expm1(loss) < threshold) | extended
    return _rebuilt(model, kept)


@njit(cache=True)
def _shorter(trie: Trie, parents: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Log-probability of the last word of n-grams of two words or more in the context without their first."""
    found = np.empty(len(nodes))
    for i in range(len(nodes)):
        found[i] = step(trie, trie.suffix[parents[nodes[i]]], trie.word[nodes[i]])[1]
    return found


def _rebuilt(model: NGram, kept: np.ndarray) -> NGram:
    """The model of the n-grams that are kept."""
    trie, parents = model.trie, model.parents
    number = np.cumsum(kept) - 1  # of each kept node in the new trie
    suffix = trie.suffix.copy()
    while (gone := ~kept[suffix]).any():
        suffix[gone] = trie.suffix[suffix[gone]]
    orders: list[Order] = []
    below = 0
    for n in range(1, model.order + 1):
        nodes = model.nodes(n)
        nodes = nodes[kept[nodes]]
        if not len(nodes):
            break
        parent = number[parents[nodes]] - below
        orders.append(
            Order(parent, trie.word[nodes], number[suffix[nodes]], trie.log_prob[nodes], np.zeros(len(nodes)))
        )
        below = number[nodes[0]]
    pruned = build(model.words, orders)
    for n in range(2, pruned.order + 1):  # shorter ones first: longer ones back off to them
        nodes = pruned.nodes(n)
        context = pruned.parents[nodes]
        q = _shorter(pruned.trie, pruned.parents, nodes)
        rest = 1 - np.bincount(context, np.exp(pruned.trie.log_prob[nodes], dtype=np.float64))
        rest_shorter = 1 - np.bincount(context, np.exp(q))
        contexts = np.unique(context)
        weight = np.maximum(rest[contexts], 1e-30) / np.maximum(rest_shorter[contexts], 1e-30)
        pruned.trie.backoff[contexts] = np.log(weight)
    return pruned
