"""A neural model in the CTC search, against the n-gram model that it wraps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from ctc_paths import random_log_probs
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


class NGramScorer:
    """An n-gram model as a label scorer whose state is a node for each row; it counts the rows that it steps."""

    device = torch.device("cpu")

    def __init__(self, ngram: NGram) -> None:
        self.ngram = ngram
        self.ids = ngram.word_ids([name or UNK for name in NAMES] + [EOS])
        self.rows = 0

    def start(self, rows: int) -> Tensor:
        return torch.full((rows,), -1)

    def step(self, state: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        self.rows += len(labels)
        nodes, log_probs = [], []
        for own, label in zip(state.tolist(), labels.tolist(), strict=True):
            node = self.ngram.start if own < 0 else step(self.ngram.trie, own, self.ids[label])[0]
            nodes.append(node)
            log_probs.append([step(self.ngram.trie, node, word_id)[1] for word_id in self.ids])
        return torch.tensor(log_probs).reshape(-1, SIZE), torch.tensor(nodes, dtype=torch.long)

    def select(self, state: Tensor, rows: Tensor) -> Tensor:
        return state[rows]

    def join(self, states: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(states))


def neural() -> NeuralModel:
    return NeuralModel(NGramScorer(model()), bos=0, eos=SIZE - 1, weight=WEIGHT, bonus=BONUS)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 9999), beam=st.integers(1, 12), words=st.booleans())
def test_equals_the_ngram_model(seed: int, beam: int, words: bool) -> None:
    scores, lengths = random_log_probs(seed, 2, 9, len(NAMES)), np.array([9, 6])
    spelled = [(0, (1, 2)), (1, (1,)), (2, (2, 3)), (3, (3,)), (4, (2,))]
    vocabulary = WordModel(lexicon_trie.build(spelled, None), ["ab", "a", "bc", "c", "b"]) if words else None
    options = CTCBeamOptions(beam=beam, nbest=beam)
    expected = ctc_beam.search(
        scores, lengths, 0, options, make_graph(4, vocabulary, LabelModel(model(), NAMES, WEIGHT, BONUS))
    )
    fused = neural()
    hypotheses = ctc_beam.search(scores, lengths, 0, options, make_graph(4, vocabulary, None, fused), fused)
    for mine, theirs in zip(hypotheses, expected, strict=True):
        assert [h.labels for h in mine] == [h.labels for h in theirs]
        assert [h.score for h in mine] == pytest.approx([h.score for h in theirs], abs=1e-4)
        assert [h.words for h in mine] == [h.words for h in theirs]


def test_an_ngram_model_and_a_neural_model_add_up() -> None:
    scores, lengths = random_log_probs(0, 1, 9, len(NAMES)), np.array([9])
    options = CTCBeamOptions(beam=30, nbest=5)
    twice = LabelModel(model(), NAMES, 2 * WEIGHT, 2 * BONUS)
    ((*expected,),) = ctc_beam.search(scores, lengths, 0, options, make_graph(4, None, twice))
    fused = neural()
    graph = make_graph(4, None, LabelModel(model(), NAMES, WEIGHT, BONUS), fused)
    ((*hypotheses,),) = ctc_beam.search(scores, lengths, 0, options, graph, fused)
    assert [h.labels for h in hypotheses] == [h.labels for h in expected]
    assert [h.score for h in hypotheses] == pytest.approx([h.score for h in expected], abs=1e-4)


def test_steps_once_for_each_new_prefix() -> None:
    fused = neural()
    scorer: Any = fused.scorer
    search = CTCBeamSearch(4, 0, CTCBeamOptions(beam=4), make_graph(4, None, None, fused), fused)
    scorer.rows = 0
    search.feed(random_log_probs(1, 1, 200, len(NAMES))[0])
    assert scorer.rows < 4 * 200  # a prefix that stays is not stepped again
    whole = search.finish()
    search.start()
    for frame in random_log_probs(1, 1, 200, len(NAMES))[0]:
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
