"""Mixed models against the weighted sum of the models' probabilities; weights against the condition of a maximum."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import InputError
from asr.lm.estimate import encode_sentences, kneser_ney
from asr.lm.mix import fit_weights, mix, word_probabilities
from asr.lm.ngram import ROOT, NGram, step
from asr.lm.prune import prune, restrict

some = st.lists(st.lists(st.sampled_from("abc"), max_size=6), min_size=2, max_size=20)
others = st.lists(st.lists(st.sampled_from("cade"), max_size=6), min_size=2, max_size=20)


def probability(model: NGram, history: tuple[str, ...], word: str) -> float:
    """Probability of a word after others; 0 of a word that the model lacks, which is its <unk> in a history."""
    if word not in model.index:
        return 0.0
    state = ROOT
    for w in model.word_ids(history):
        state, _ = step(model.trie, state, w)
    return float(np.exp(step(model.trie, state, model.index[word])[1]))


def ngrams(model: NGram) -> set[tuple[str, ...]]:
    rows = [row for order in range(1, model.order + 1) for row in model.ngrams(order)[1].tolist()]
    return {tuple(model.words[w] for w in row) for row in rows}


@settings(deadline=None, max_examples=30)
@given(
    first=some,
    second=others,
    orders=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    weight=st.sampled_from([0.1, 0.5, 0.9]),
    threshold=st.sampled_from([0.0, 0.01]),
)
def test_equals_the_weighted_sum(
    first: list[list[str]], second: list[list[str]], orders: tuple[int, int], weight: float, threshold: float
) -> None:
    models = [
        prune(kneser_ney(encode_sentences(text), order), threshold)
        for text, order in zip((first, second), orders, strict=True)
    ]
    mixed = mix(models, [weight, 1 - weight])
    assert set(mixed.words) == set(models[0].words) | set(models[1].words)
    assert ngrams(mixed) == ngrams(models[0]) | ngrams(models[1])
    for *history, word in ngrams(mixed):
        if word != "<s>":
            dynamic = [probability(model, tuple(history), word) for model in models]
            expected = weight * dynamic[0] + (1 - weight) * dynamic[1]
            assert probability(mixed, tuple(history), word) == pytest.approx(expected, rel=1e-4)
    words = [word for word in mixed.words if word != "<s>"]
    for context in itertools.product([w for w in mixed.words if w != "</s>"], [w for w in words if w != "</s>"]):
        assert sum(probability(mixed, context, word) for word in words) == pytest.approx(1, rel=1e-3)


def test_three_models_and_weights_that_do_not_sum_to_one() -> None:
    models = [kneser_ney(encode_sentences([list(text)]), 2) for text in ("abba", "abcb", "ccad")]
    mixed = mix(models, [2, 2, 4])
    expected = sum(w * probability(m, ("a",), "b") for w, m in zip((0.25, 0.25, 0.5), models, strict=True))
    assert probability(mixed, ("a",), "b") == pytest.approx(expected, rel=1e-5)


def test_a_model_with_itself_is_that_model() -> None:
    model = kneser_ney(encode_sentences([list("abba"), list("abca"), list("ccba")]), 3)
    mixed = mix([model, model], [0.3, 0.7])
    assert mixed.words == model.words
    for expected, actual in zip(model.trie, mixed.trie, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-5)


def test_the_perplexity_is_that_of_the_interpolation_where_all_ngrams_are_there() -> None:
    texts = [["abcab", "bca", "cab"], ["bba", "abb", "cab", "ab"]]
    models = [kneser_ney(encode_sentences([list(line) for line in text]), 3) for text in texts]
    dev = [list("cab"), list("ab")]
    probs = word_probabilities(models, dev)
    weights = fit_weights(probs)
    mixed = mix(models, weights.tolist())
    actual = np.concatenate([mixed.log_probs(sentence) for sentence in dev])
    np.testing.assert_allclose(actual, np.log(probs @ weights), rtol=1e-4, atol=1e-5)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 999), models=st.integers(1, 4), words=st.integers(1, 50))
def test_fitted_weights_maximize_the_likelihood(seed: int, models: int, words: int) -> None:
    probs = np.random.default_rng(seed).random((words, models)) ** 3
    weights = fit_weights(probs)
    assert weights.sum() == pytest.approx(1) and (weights >= 0).all()
    # Karush, Kuhn and Tucker: the derivatives by all weights above 0 are equal, those by others not larger
    derivative = (probs / (probs @ weights)[:, None]).mean(0)
    assert (derivative < 1.02).all()
    np.testing.assert_allclose(derivative[weights > 0.05], 1, atol=0.02)


def test_words_that_no_model_has_do_not_count() -> None:
    models = [kneser_ney(encode_sentences([list(text)]), 1) for text in ("ab", "bc")]
    probs = word_probabilities(models, [["a", "x", "c"]])
    assert probs.shape == (3, 2)  # a, c and the end
    assert probs[0, 1] == 0 and probs[1, 0] == 0 and (probs[2] > 0).all()
    with pytest.raises(InputError, match="no word in the text"):
        fit_weights(probs[:0])


@pytest.mark.parametrize("weights", [[1.0], [0.0, 1.0], [-1.0, 2.0], [float("nan"), 1.0], []])
def test_weights_that_do_not_fit(weights: list[float]) -> None:
    model = kneser_ney(encode_sentences([["a"]]), 1)
    with pytest.raises(InputError, match="weight"):
        mix([model, model], weights)


@settings(deadline=None, max_examples=20)
@given(sentences=others, order=st.integers(1, 3))
def test_a_model_of_fewer_words(sentences: list[list[str]], order: int) -> None:
    model = kneser_ney(encode_sentences([*sentences, ["a", "c"]]), order)
    smaller = restrict(model, ["a", "c", "z"])
    assert set(smaller.words) == {"<unk>", "<s>", "</s>", "a", "c"}
    assert ngrams(smaller) == {gram for gram in ngrams(model) if set(gram) <= set(smaller.words)}
    gone = [word for word in model.words if word not in smaller.words]
    expected = sum(probability(model, (), word) for word in ["<unk>", *gone])
    assert probability(smaller, (), "<unk>") == pytest.approx(expected, rel=1e-4)
    words = [word for word in smaller.words if word != "<s>"]
    for history in itertools.product(["<s>", "<unk>", "a", "c"], ["a", "c"]):
        assert sum(probability(smaller, history, word) for word in words) == pytest.approx(1, rel=1e-3)
    with pytest.raises(InputError, match="none of the model's words"):
        restrict(model, ["z"])
