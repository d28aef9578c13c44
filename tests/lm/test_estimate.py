"""Kneser-Ney estimation against its definition, written with dictionaries."""

from __future__ import annotations

import itertools
import logging
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import InputError
from asr.lm.estimate import FALLBACK_DISCOUNTS, encode_sentences, kneser_ney, perplexity
from asr.lm.ngram import NGram

Gram = tuple[str, ...]


def by_definition(sentences: Sequence[Sequence[str]], order: int, vocabulary: Sequence[str]) -> dict[Gram, float]:
    """p(last | others) of every n-gram over the vocabulary, interpolated; the recursion of Chen & Goodman."""
    raw: list[Counter[Gram]] = [Counter() for _ in range(order + 1)]
    for sentence in sentences:
        padded = ("<s>", *sentence, "</s>")
        for n in range(1, order + 1):
            raw[n].update(padded[i : i + n] for i in range(len(padded) - n + 1))
    adjusted: list[Counter[Gram]] = [Counter() for _ in range(order + 1)]
    adjusted[order] = raw[order]
    for n in range(1, order):
        before: dict[Gram, set[str]] = defaultdict(set)
        for gram in raw[n + 1]:
            before[gram[1:]].add(gram[0])
        adjusted[n] = Counter({g: raw[n][g] if g[0] == "<s>" else len(before[g]) for g in raw[n]})
    adjusted[1].pop(("<s>",), None)
    probs: dict[Gram, float] = {}
    for n in range(1, order + 1):
        n1, n2, n3, n4 = (sum(c == k for c in adjusted[n].values()) for k in (1, 2, 3, 4))
        d: Sequence[float] = FALLBACK_DISCOUNTS
        if n1 and n2 and n3:
            y = n1 / (n1 + 2 * n2)
            estimated = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
            if all(0 <= estimated[k] <= k + 1 for k in range(3)):
                d = estimated
        total: Counter[Gram] = Counter()
        gamma: dict[Gram, float] = defaultdict(float)
        for gram, c in adjusted[n].items():
            total[gram[:-1]] += c
            gamma[gram[:-1]] += d[min(c, 3) - 1]
        for gram in itertools.product(vocabulary, repeat=n):
            h, c = gram[:-1], adjusted[n][gram]
            lower = probs[gram[1:]] if n > 1 else 1 / len([w for w in vocabulary if w != "<s>"])
            if not total[h]:
                probs[gram] = lower
            else:
                own = (c - d[min(c, 3) - 1]) / total[h] if c else 0.0
                probs[gram] = own + gamma[h] / total[h] * lower
    return probs


def probability(model: NGram, gram: Gram) -> float:
    """p(last | others), the others being all that is known of the history."""
    from asr.lm.ngram import ROOT, step

    state, log_prob = ROOT, 0.0
    for word in gram:
        state, log_prob = step(model.trie, state, model.index[word])
    return float(np.exp(log_prob))


texts = st.lists(st.lists(st.sampled_from("abc"), max_size=6), min_size=1, max_size=30)


@settings(deadline=None, max_examples=50)
@given(sentences=texts, order=st.integers(1, 4))
def test_equals_the_definition(sentences: list[list[str]], order: int) -> None:
    model = kneser_ney(encode_sentences(sentences), order)
    expected = by_definition(sentences, order, model.words)
    for gram in itertools.product(model.words, repeat=order):
        # <s> is where sentences begin and nowhere else; </s> ends them
        if gram[-1] != "<s>" and "<s>" not in gram[1:] and "</s>" not in gram[:-1]:
            assert probability(model, gram) == pytest.approx(expected[gram], rel=1e-4), gram


@settings(deadline=None, max_examples=50)
@given(sentences=texts, order=st.integers(1, 4), cutoff=st.integers(0, 3))
def test_probabilities_of_all_words_sum_to_one(sentences: list[list[str]], order: int, cutoff: int) -> None:
    model = kneser_ney(encode_sentences(sentences), order, [0, 0, cutoff, cutoff][:order])
    for n in range(order):
        for _, words in zip(*model.ngrams(n), strict=True):
            history = tuple(model.words[w] for w in words)
            if "</s>" not in history:
                total = sum(probability(model, (*history, word)) for word in model.words if word != "<s>")
                assert total == pytest.approx(1, rel=1e-4)


def test_cutoffs_leave_out_rare_ngrams() -> None:
    sentences = [["a", "b"]] * 3 + [["b", "a"]] * 2 + [["c"]]
    names = lambda model, n: {" ".join(model.words[w] for w in row) for row in model.ngrams(n)[1]}  # noqa: E731
    full, cut = kneser_ney(encode_sentences(sentences), 2), kneser_ney(encode_sentences(sentences), 2, [0, 2])
    assert names(full, 2) == {"<s> a", "a b", "b </s>", "<s> b", "b a", "a </s>", "<s> c", "c </s>"}
    assert names(cut, 2) == {"<s> a", "a b", "b </s>"}
    assert names(cut, 1) == names(full, 1) == {"<unk>", "<s>", "</s>", "a", "b", "c"}
    with pytest.raises(InputError, match="must not be lower"):
        kneser_ney(encode_sentences(sentences), 3, [0, 2, 1])


def test_vocabulary_limits() -> None:
    sentences = [["a", "b", "a", "c"], ["b", "a", "d"]]
    text = encode_sentences(sentences, max_words=2)
    assert text.words == ("<unk>", "<s>", "</s>", "a", "b")
    assert text.tokens.tolist() == [1, 3, 4, 3, 0, 2, 1, 4, 3, 0, 2]
    assert encode_sentences(sentences, vocabulary=["x", "c"]).words == ("<unk>", "<s>", "</s>", "x", "c")


def test_input_that_cannot_be_estimated_from() -> None:
    with pytest.raises(InputError, match="no text"):
        encode_sentences([])
    with pytest.raises(InputError, match="sentence 2: </s> is reserved"):
        encode_sentences([["a"], ["b", "</s>"]])
    with pytest.raises(InputError, match="order 7"):
        kneser_ney(encode_sentences([["a"]]), 7)


def test_text_shorter_than_the_order() -> None:
    model = kneser_ney(encode_sentences([[]]), 6)
    assert model.order == 6 and not len(model.nodes(3))
    assert probability(model, ("<s>", "</s>")) > 0.5


def test_discounts_that_cannot_be_estimated_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        kneser_ney(encode_sentences([["a"]]), 1)
    assert "order 1: counts of counts 2, 0, 0, 0 do not give discounts" in caplog.text


def test_perplexity_of_a_uniform_model() -> None:
    model = kneser_ney(encode_sentences([["a"], ["b"], ["c"]]), 1)
    with_unknown, without, words, unknown = perplexity(model, [["a", "zebra"]])
    p = model.log_probs(["a", "zebra"])
    assert (words, unknown) == (3, 1)
    assert with_unknown == pytest.approx(np.exp(-p.mean()))
    assert without == pytest.approx(np.exp(-(p[0] + p[2]) / 2))
