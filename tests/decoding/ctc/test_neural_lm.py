"""A neural model in the CTC search gives what the n-gram model gives that it imitates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from asr.decoding.ctc import beam as ctc_beam
from asr.decoding.ctc import lexicon_trie
from asr.decoding.ctc.beam import CTCBeamSearch
from asr.decoding.ctc.fusion import LabelModel, WordModel, make_graph
from asr.decoding.ctc.neural_lm import NeuralModel
from asr.decoding.ctc.options import CTCBeamOptions
from asr.errors import InputError
from asr.lm.estimate import encode_sentences, kneser_ney
from asr.lm.ngram import BOS, EOS, UNK, NGram, step

NAMES = [None, "a", "b", "c"]  # of labels
SIZE = len(NAMES) + 1  # and the end
WEIGHT, BONUS = 0.7, 0.4


def model() -> NGram:
    return kneser_ney(encode_sentences([line.split() for line in ["a b a b c", "b b a", "a c c", "c a b"]]), 3)


class Imitation:
    """An n-gram model as a scorer: a row's state is its node; it counts how many rows it was asked about."""

    device = torch.device("cpu")

    def __init__(self, ngram: NGram) -> None:
        self.ngram = ngram
        self.numbers = ngram.word_ids([name or UNK for name in NAMES] + [EOS])
        self.rows = 0

    def start(self, rows: int) -> Tensor:
        return torch.full((rows,), -1)

    def step(self, state: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        self.rows += len(labels)
        then, said = [], []
        for own, label in zip(state.tolist(), labels.tolist(), strict=True):
            node = self.ngram.start if own < 0 else step(self.ngram.trie, own, self.numbers[label])[0]
            then.append(node)
            said.append([step(self.ngram.trie, node, number)[1] for number in self.numbers])
        return torch.tensor(said).reshape(-1, SIZE), torch.tensor(then, dtype=torch.long)

    def select(self, state: Tensor, rows: Tensor) -> Tensor:
        return state[rows]

    def join(self, states: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(states))


def random_scores(seed: int, utterances: int, frames: int) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(0, 2, (utterances, frames, len(NAMES)))
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def neural() -> NeuralModel:
    return NeuralModel(Imitation(model()), bos=0, eos=SIZE - 1, weight=WEIGHT, bonus=BONUS)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 9999), beam=st.integers(1, 12), words=st.booleans())
def test_equals_the_model_that_it_imitates(seed: int, beam: int, words: bool) -> None:
    scores, lengths = random_scores(seed, 2, 9), np.array([9, 6])
    spelled = [(0, (1, 2)), (1, (1,)), (2, (2, 3)), (3, (3,)), (4, (2,))]
    vocabulary = WordModel(lexicon_trie.build(spelled, None), ["ab", "a", "bc", "c", "b"]) if words else None
    options = CTCBeamOptions(beam=beam, nbest=beam)
    expected = ctc_beam.search(
        scores, lengths, 0, options, make_graph(4, vocabulary, LabelModel(model(), NAMES, WEIGHT, BONUS))
    )
    fused = neural()
    found = ctc_beam.search(scores, lengths, 0, options, make_graph(4, vocabulary, None, fused), fused)
    for mine, theirs in zip(found, expected, strict=True):
        assert [h.labels for h in mine] == [h.labels for h in theirs]
        assert [h.score for h in mine] == pytest.approx([h.score for h in theirs], abs=1e-4)
        assert [h.words for h in mine] == [h.words for h in theirs]


def test_both_together_count_twice() -> None:
    scores, lengths = random_scores(0, 1, 9), np.array([9])
    options = CTCBeamOptions(beam=30, nbest=5)
    twice = LabelModel(model(), NAMES, 2 * WEIGHT, 2 * BONUS)
    ((*expected,),) = ctc_beam.search(scores, lengths, 0, options, make_graph(4, None, twice))
    fused = neural()
    graph = make_graph(4, None, LabelModel(model(), NAMES, WEIGHT, BONUS), fused)
    ((*found,),) = ctc_beam.search(scores, lengths, 0, options, graph, fused)
    assert [h.labels for h in found] == [h.labels for h in expected]
    assert [h.score for h in found] == pytest.approx([h.score for h in expected], abs=1e-4)


def test_is_asked_once_for_each_prefix_that_comes_in() -> None:
    fused = neural()
    scorer: Any = fused.scorer
    search = CTCBeamSearch(4, 0, CTCBeamOptions(beam=4), make_graph(4, None, None, fused), fused)
    scorer.rows = 0
    search.feed(random_scores(1, 1, 200)[0])
    assert scorer.rows < 4 * 200  # one that stays is not asked about again
    whole = search.finish()
    search.start()
    for frame in random_scores(1, 1, 200)[0]:
        search.feed(frame[None])
    assert search.finish() == whole


def test_models_that_do_not_fit() -> None:
    fused = neural()
    with pytest.raises(InputError, match="the same neural model"):
        CTCBeamSearch(4, 0, CTCBeamOptions(), make_graph(4), fused)
    with pytest.raises(InputError, match="the same neural model"):
        CTCBeamSearch(4, 0, CTCBeamOptions(), make_graph(4, None, None, fused))
    with pytest.raises(InputError, match="has 5 labels, the search has 6"):
        CTCBeamSearch(6, 0, CTCBeamOptions(), make_graph(6, None, None, fused), fused)
    assert BOS in fused.scorer.ngram.index  # type: ignore[attr-defined]
