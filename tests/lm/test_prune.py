"""Entropy pruning against Stolcke's definition: the relative entropy between the two models, one n-gram less."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import InputError
from asr.lm.estimate import encode_sentences, kneser_ney
from asr.lm.ngram import ROOT, NGram, step
from asr.lm.prune import prune

texts = st.lists(st.lists(st.sampled_from("abc"), max_size=6), min_size=3, max_size=30)


def probability(model: NGram, history: tuple[int, ...], word: int) -> float:
    state = ROOT
    for w in history:
        state, _ = step(model.trie, state, w)
    return float(np.exp(step(model.trie, state, word)[1]))


def names(model: NGram, order: int) -> set[tuple[int, ...]]:
    return {tuple(row) for row in model.ngrams(order)[1].tolist()} if order <= model.order else set()


@settings(deadline=None, max_examples=40)
@given(sentences=texts, threshold=st.sampled_from([1e-4, 1e-3, 1e-2, 0.1]))
def test_equals_the_definition_for_bigrams(sentences: list[list[str]], threshold: float) -> None:
    model = kneser_ney(encode_sentences(sentences), 2)
    words = [w for w in range(len(model.words)) if w != 1]
    unigram = {w: probability(model, (), w) for w in words}
    expected = set()
    for h, w in names(model, 2):
        p = {v: probability(model, (h,), v) for v in words}
        explicit = {v for g, v in names(model, 2) if g == h and v != w}
        weight = (1 - sum(p[v] for v in explicit)) / (1 - sum(unigram[v] for v in explicit))
        without = {v: p[v] if v in explicit else weight * unigram[v] for v in words}
        entropy = sum(p[v] * (np.log(p[v]) - np.log(without[v])) for v in words)
        history = 1.0 if h == 1 else unigram[h]
        loss = np.expm1(history * entropy)
        if abs(loss - threshold) < 1e-6 * threshold:
            return  # rounding decides
        if loss >= threshold:
            expected.add((h, w))
    assert names(prune(model, threshold), 2) == expected


@settings(deadline=None, max_examples=40)
@given(sentences=texts, threshold=st.sampled_from([0, 1e-3, 1e-2, 0.1]))
def test_probabilities_of_a_pruned_model_sum_to_one(sentences: list[list[str]], threshold: float) -> None:
    model = kneser_ney(encode_sentences(sentences), 3)
    small = prune(model, threshold)
    assert small.words == model.words
    for order in 2, 3:
        assert names(small, order) <= names(model, order)
        assert {gram[:-1] for gram in names(small, order)} <= names(small, order - 1)
    words = [w for w in range(len(model.words)) if w != 1]
    for history in itertools.product([1, *words], words):
        if 2 not in history:
            assert sum(probability(small, history, w) for w in words) == pytest.approx(1, rel=1e-3)


def test_threshold_zero_keeps_all_ngrams() -> None:
    model = kneser_ney(encode_sentences([["a", "b", "c"], ["a", "c"], ["b", "b", "a"]]), 3)
    for expected, actual in zip(model.trie, prune(model, 0).trie, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-5)


def test_a_negative_threshold_is_refused() -> None:
    model = kneser_ney(encode_sentences([["a"]]), 2)
    with pytest.raises(InputError, match="0 or more"):
        prune(model, -1)
