"""Label-synchronous search against the enumeration of all sequences of tiny models; sampling against probabilities."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise, product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from asr.decoding.label.beam import LabelBeamOptions, search
from asr.decoding.label.sampling import Sampling, sample, truncate
from asr.decoding.label.scorer import LabelScorer, ScorerEnsemble
from asr.errors import InputError

BOS, EOS, SIZE = 0, 1, 4  # sequences are of labels 2 and 3


class Table:
    """Random log-probabilities for each utterance, length so far and last label; it attends to random places."""

    device = torch.device("cpu")

    def __init__(self, seed: int, utterances: int, longest: int = 6) -> None:
        generator = torch.Generator().manual_seed(seed)
        logits = 2 * torch.randn(utterances, longest + 1, SIZE, SIZE, generator=generator)
        logits[..., BOS] = -torch.inf
        self.table = logits.log_softmax(-1)
        self.attends = torch.rand(utterances, SIZE, 3, generator=generator)
        self.rows_stepped = 0

    def start(self, rows: int) -> tuple[Tensor, Tensor, Tensor]:
        return torch.arange(rows), torch.zeros(rows, dtype=torch.long), torch.zeros(rows, 3)

    def step(self, state: tuple[Tensor, ...], labels: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        utterance, length, attended = state
        self.rows_stepped += len(labels)
        seen = attended + self.attends[utterance, labels]
        return self.table[utterance, length, labels], (utterance, length + 1, seen)

    def select(self, state: tuple[Tensor, ...], rows: Tensor) -> tuple[Tensor, ...]:
        return tuple(part[rows] for part in state)

    def attention(self, state: tuple[Tensor, ...]) -> Tensor:
        return state[2]

    # by the definition

    def log_probs(self, utterance: int, labels: tuple[int, ...]) -> list[float]:
        path = (BOS, *labels, EOS)
        return [float(self.table[utterance, i, a, b]) for i, (a, b) in enumerate(pairwise(path))]

    def rank(self, utterance: int, labels: tuple[int, ...], options: LabelBeamOptions) -> float:
        length = len(labels) + 1
        score = sum(self.log_probs(utterance, labels)) / ((5 + length) / 6) ** options.normalization
        attended = sum((self.attends[utterance, label] for label in (BOS, *labels)), torch.zeros(3))
        return score + options.bonus * length + options.coverage * float(attended.clamp(max=1).log().sum())


def sequences(longest: int, shortest: int = 0) -> list[tuple[int, ...]]:
    return [labels for n in range(shortest, longest + 1) for labels in product((2, 3), repeat=n)]


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 9999),
    longest=st.integers(0, 4),
    shortest=st.integers(0, 2),
    normalization=st.sampled_from([0.0, 0.6, 1.0]),
    bonus=st.sampled_from([0.0, 0.7]),
    coverage=st.sampled_from([0.0, 0.5]),
)
def test_a_wide_beam_finds_the_best_of_all_sequences(
    seed: int, longest: int, shortest: int, normalization: float, bonus: float, coverage: float
) -> None:
    table = Table(seed, 3)
    shortest = min(shortest, longest)
    options = LabelBeamOptions(80, 5, longest, shortest, normalization, bonus, coverage)
    for utterance, hypotheses in enumerate(search(table, 3, BOS, EOS, options)):
        every = sequences(longest, shortest)
        best = sorted(every, key=lambda labels: -table.rank(utterance, labels, options))[:5]
        assert [hypothesis.labels for hypothesis in hypotheses] == best
        for hypothesis in hypotheses:
            assert hypothesis.score == pytest.approx(table.rank(utterance, hypothesis.labels, options), abs=1e-5)
            own = table.log_probs(utterance, hypothesis.labels)[:-1]
            assert hypothesis.confidence == pytest.approx([math.exp(p) for p in own], abs=1e-5)


def greedy(table: Table, utterance: int, longest: int) -> tuple[int, ...]:
    labels: list[int] = []
    while len(labels) < longest:
        label = int(table.table[utterance, len(labels), labels[-1] if labels else BOS].argmax())
        if label == EOS:
            break
        labels.append(label)
    return tuple(labels)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 9999), normalization=st.sampled_from([0.0, 1.0]))
def test_a_beam_of_one_is_greedy(seed: int, normalization: float) -> None:
    table = Table(seed, 5)
    nbest_lists = search(table, 5, BOS, EOS, LabelBeamOptions(beam=1, max_length=5, normalization=normalization))
    assert [best.labels for (best,) in nbest_lists] == [greedy(table, utterance, 5) for utterance in range(5)]


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 9999), beam=st.integers(1, 4))
def test_an_input_does_not_depend_on_its_batch(seed: int, beam: int) -> None:
    class One(Table):
        def start(self, rows: int) -> tuple[Tensor, Tensor, Tensor]:
            utterance, length, attended = super().start(rows)
            return utterance + number, length, attended

    options = LabelBeamOptions(beam, beam, 5, 0, 0.6)
    batched = search(Table(seed, 4), 4, BOS, EOS, options)
    for number in range(4):
        assert search(One(seed, 4), 1, BOS, EOS, options) == [batched[number]]


def test_sequences_that_have_ended_are_not_stepped() -> None:
    table = Table(0, 2)
    table.table[0, ..., EOS] = 50.0  # the first utterance ends at once
    search(table, 2, BOS, EOS, LabelBeamOptions(beam=2, max_length=6))
    assert table.rows_stepped <= 2 + 2 * 6 + 1


def test_forbidden_labels_do_not_occur() -> None:
    nbest_lists = search(Table(3, 4), 4, BOS, EOS, LabelBeamOptions(beam=8, nbest=8, max_length=4, forbidden=(2,)))
    assert all(set(hypothesis.labels) <= {3} for nbest in nbest_lists for hypothesis in nbest)
    assert [len(nbest) for nbest in nbest_lists] == [5] * 4  # of 0 to 4 labels


def test_an_ensemble_of_models() -> None:
    a, b = Table(1, 2), Table(2, 2)
    options = LabelBeamOptions(beam=80, max_length=3)
    for scorer, weights in ((ScorerEnsemble([a, b]), (0.5, 0.5)), (ScorerEnsemble([a, b], [1.0, 0.3]), (1.0, 0.3))):
        both: LabelScorer = scorer
        for utterance, (best,) in enumerate(search(both, 2, BOS, EOS, options)):

            def score(labels: tuple[int, ...], u: int = utterance, w: tuple[float, float] = weights) -> float:
                return w[0] * sum(a.log_probs(u, labels)) + w[1] * sum(b.log_probs(u, labels))

            assert best.labels == max(sequences(3), key=score)
            assert best.score == pytest.approx(score(best.labels), abs=1e-5)
    with pytest.raises(InputError, match="1 weights for 2 models"):
        ScorerEnsemble([a, b], [1.0])
    with pytest.raises(InputError, match="no model"):
        ScorerEnsemble([])


def test_samples_have_the_models_probabilities() -> None:
    table = Table(5, 1, longest=8)
    table.table = table.table[:1].expand(4000, -1, -1, -1)
    table.attends = table.attends.expand(4000, -1, -1)
    generator = torch.Generator().manual_seed(0)
    samples = sample(table, 4000, BOS, EOS, max_length=8, generator=generator)
    counts = Counter(hypothesis.labels for hypothesis in samples)
    for labels in sequences(2):
        assert counts[labels] / 4000 == pytest.approx(math.exp(sum(table.log_probs(0, labels))), abs=0.03)
    for hypothesis in samples[:50]:
        own = table.log_probs(0, hypothesis.labels)
        assert hypothesis.score == pytest.approx(sum(own if len(hypothesis.labels) < 8 else own[:-1]), abs=1e-4)
    cold = sample(table, 5, BOS, EOS, max_length=5, options=Sampling(temperature=1e-4))
    assert {hypothesis.labels for hypothesis in cold} == {greedy(table, 0, 5)}
    assert {h.labels for h in sample(table, 5, BOS, EOS, max_length=5, options=Sampling(top_k=1))} == {
        greedy(table, 0, 5)
    }
    only = sample(table, 50, BOS, EOS, max_length=5, options=Sampling(forbidden=(2,), top_p=0.99))
    assert all(set(hypothesis.labels) <= {3} for hypothesis in only)


def test_nucleus_and_top_k() -> None:
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05], [0.1, 0.1, 0.1, 0.7]]).log()
    expected = torch.tensor([[0.625, 0.375, 0, 0], [0, 0, 0, 1.0]])
    torch.testing.assert_close(truncate(logits, top_p=0.69), expected)
    torch.testing.assert_close(truncate(logits, top_k=2)[0], torch.tensor([0.625, 0.375, 0, 0]))
    torch.testing.assert_close(truncate(logits), logits.exp())


def test_wrong_options_and_models_are_refused() -> None:
    class Blind:
        device, start, step, select = Table.device, Table.start, Table.step, Table.select

    impossible_options: list[dict[str, Any]] = [
        {"beam": 0},
        {"beam": 2, "nbest": 3},
        {"min_length": 5, "max_length": 4},
    ]
    for options in impossible_options:
        with pytest.raises(InputError):
            LabelBeamOptions(**options)
    blind: Any = Blind()
    with pytest.raises(InputError, match="coverage is for models with attention"):
        search(blind, 1, BOS, EOS, LabelBeamOptions(coverage=0.2))
    wrong_options: list[dict[str, Any]] = [{"temperature": 0.0}, {"top_p": 0.0}, {"top_p": 1.1}, {"top_k": 0}]
    for wrong in wrong_options:
        with pytest.raises(InputError, match="at least 1"):
            Sampling(**wrong)
    impossible = Table(0, 1)
    impossible.table[...] = -torch.inf
    with pytest.raises(InputError, match="input 0: the model gives no label sequence"):
        search(impossible, 1, BOS, EOS)
    assert search(Table(0, 1), 0, BOS, EOS) == []
