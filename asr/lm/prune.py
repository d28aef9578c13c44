"""Smaller n-gram models: entropy pruning (Stolcke 1998, arXiv cs/0006025), fewer words."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from asr.errors import InputError
from asr.lm.ngram import BOS, EOS, UNK, NGram, NGramOrder, Trie, build, step
from asr.lm.tables import NGramTable, build_from_tables
from asr.utils.numba_cache import njit

MIN_PROB_MASS = 1e-30  # of words that back off: its logarithm must be finite


def prune(model: NGram, threshold: float) -> NGram:
    """Remove the n-grams of two or more words whose removal increases the perplexity by less than a threshold.

    Each n-gram is judged by itself against the whole model (Stolcke's equation 5). Prefixes of longer n-grams that stay
    are kept too. Back-off weights are computed anew, so that probabilities sum to one.

    Args:
        model: the model to prune.
        threshold: relative increase of the perplexity, 0 or more.

    Returns:
        The pruned model.

    Raises:
        InputError: the threshold is negative.
    """
    if not threshold >= 0:
        raise InputError(f"pruning threshold {threshold}: use 0 or more")
    trie, parents = model.trie, model.parents
    size = len(trie.word)
    # log p(history) of each n-gram as a history; <s> is certain at the beginning of a sentence
    history = np.zeros(size)
    nodes_of_order = [model.nodes(n) for n in range(1, model.order + 1)]
    for nodes in nodes_of_order:
        history[nodes] = history[parents[nodes]] + np.where(nodes == model.start, 0, trie.log_prob[nodes])
    kept = np.ones(size, dtype=bool)
    for nodes in reversed([nodes for nodes in nodes_of_order[1:] if len(nodes)]):
        context = parents[nodes]
        shorter = _backed_off_log_probs(trie, parents, nodes)
        p, q = np.exp(trie.log_prob[nodes], dtype=np.float64), np.exp(shorter)
        rest = 1 - np.bincount(context, p, size)[context]  # probability of words that back off from the context
        rest_shorter = 1 - np.bincount(context, q, size)[context]
        with np.errstate(divide="ignore", invalid="ignore"):
            # back-off weights of the context with the n-gram and without it
            old, new = np.log(rest / rest_shorter), np.log((rest + p) / (rest_shorter + q))
            loss = -np.exp(history[context]) * (p * (shorter + new - np.log(p)) + (new - old) * rest)
        longer = np.arange(nodes[-1] + 1, size)
        is_prefix = np.bincount(parents[longer[kept[longer]]], minlength=size)[nodes] > 0
        kept[nodes] = ~(np.expm1(loss) < threshold) | is_prefix
    return _rebuild(model, kept)


@njit(cache=True)
def _backed_off_log_probs(trie: Trie, parents: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Return the log-probability (n,) of the last word of n-grams in the context without its first word."""
    log_probs = np.empty(len(nodes))
    for i in range(len(nodes)):
        log_probs[i] = step(trie, trie.suffix[parents[nodes[i]]], trie.word[nodes[i]])[1]
    return log_probs


def _rebuild(model: NGram, kept: np.ndarray) -> NGram:
    """Return the model of the n-grams marked in ``kept`` (nodes,), with new back-off weights."""
    trie, parents = model.trie, model.parents
    new_node = np.cumsum(kept) - 1
    orders: list[NGramOrder] = []
    below = 0  # first node of the order below
    for n in range(1, model.order + 1):
        nodes = model.nodes(n)
        nodes = nodes[kept[nodes]]
        if not len(nodes):
            break
        parent = new_node[parents[nodes]] - below
        orders.append(NGramOrder(parent, trie.word[nodes], trie.log_prob[nodes], np.zeros(len(nodes))))
        below = new_node[nodes[0]]
    pruned = build(model.words, orders)
    set_backoffs(pruned)
    return pruned


def set_backoffs(model: NGram) -> None:
    """Compute the back-off weights of a model anew, in place, so that probabilities sum to one in every context."""
    trie = model.trie
    trie.backoff[:] = 0.0
    for n in range(2, model.order + 1):  # shorter n-grams first: longer ones back off to them
        nodes = model.nodes(n)
        context = model.parents[nodes]
        q = _backed_off_log_probs(trie, model.parents, nodes)
        rest = 1 - np.bincount(context, np.exp(trie.log_prob[nodes], dtype=np.float64))
        rest_shorter = 1 - np.bincount(context, np.exp(q))
        contexts = np.unique(context)
        weight = np.maximum(rest[contexts], MIN_PROB_MASS) / np.maximum(rest_shorter[contexts], MIN_PROB_MASS)
        trie.backoff[contexts] = np.log(weight)


def restrict(model: NGram, words: Iterable[str]) -> NGram:
    """Return a model that knows only some of the words.

    N-grams with other words are left out; the probability of these words goes to <unk>. Back-off weights are computed
    anew.

    Args:
        model: the model.
        words: the words to keep; <unk>, <s> and </s> are always kept. Words that the model lacks are not added.

    Raises:
        InputError: no other word of the model would be left.
    """
    special = {UNK, BOS, EOS}
    chosen = special.union(words)
    is_kept = np.array([word in chosen for word in model.words])
    if is_kept.sum() <= len(special):
        raise InputError("none of the model's words is among those to keep")
    new_id = np.cumsum(is_kept) - 1
    tables = []
    for order in range(1, model.order + 1):
        nodes, rows = model.ngrams(order)
        kept = is_kept[rows].all(1)
        log_prob = model.trie.log_prob[nodes].astype(np.float64)
        if order == 1:
            log_prob[model.index[UNK]] = np.logaddexp.reduce(log_prob[[*np.flatnonzero(~kept), model.index[UNK]]])
        if kept.any():
            tables.append(NGramTable(new_id[rows[kept]], log_prob[kept], np.zeros(int(kept.sum()))))
    smaller = build_from_tables([word for word, kept in zip(model.words, is_kept, strict=True) if kept], tables)
    set_backoffs(smaller)
    return smaller
