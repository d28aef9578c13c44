"""Favored phrases: a model with them scores as without, plus what they add."""

from __future__ import annotations

import numpy as np
import pytest

from asr.decoding.ctc.phrases import favor_phrases
from asr.lm.compact import compact
from asr.lm.estimate import encode_sentences, kneser_ney
from asr.lm.ngram import NGram

WORDS = list("abcd")


def model(order: int) -> NGram:
    rng = np.random.default_rng(0)
    return kneser_ney(encode_sentences([list(rng.choice(WORDS, 6)) for _ in range(30)]), order)


def bonuses(words: list[str], phrases: dict[tuple[str, ...], float]) -> float:
    return sum(
        bonus
        for phrase, bonus in phrases.items()
        for end in range(len(words) + 1)
        if tuple(words[max(0, end - len(phrase)) : end]) == phrase
    )


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize(
    "phrases",
    [{("a", "b"): 2.0}, {("a", "b"): 2.0, ("c", "a", "b", "d"): 1.5, ("b", "d"): -1.0}, {("a", "a"): 1.0}],
)
def test_scores_are_those_of_the_model_and_of_the_phrases(order: int, phrases: dict[tuple[str, ...], float]) -> None:
    ngram = model(order)
    favored = favor_phrases(ngram if order < 3 else compact(ngram), 0.7, phrases)
    rng = np.random.default_rng(1)
    for _ in range(200):
        words = list(map(str, rng.choice([*WORDS, "z"], 7)))
        expected = 0.7 * ngram.log_probs(words).sum() + bonuses(words, phrases)
        assert favored.log_probs(words).sum() == pytest.approx(expected, abs=1e-4)


def test_without_a_model_and_with_words_that_it_lacks() -> None:
    phrases: dict[tuple[str, ...], float] = {("x", "y"): 3.0}
    alone = favor_phrases(None, 0.7, phrases)
    assert alone.log_probs(["x", "y", "q", "y", "x"]).tolist() == [0, 3, 0, 0, 0, 0]
    ngram = model(2)
    favored = favor_phrases(ngram, 1.0, phrases)
    expected = ngram.log_probs(["a", "?", "?"]).sum() + 3
    assert favored.log_probs(["a", "x", "y"], eos=True).sum() == pytest.approx(expected, abs=1e-4)
    assert favored.log_probs(["a", "x", "y"])[2] > favored.log_probs(["a", "y", "x"])[2] + 2.9
