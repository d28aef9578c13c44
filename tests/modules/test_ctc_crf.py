"""CTC-CRF's denominator against the sum over all paths, and its label trigram."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from ctc_paths import random_log_probs, sequence_probs
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from asr.modules.ctc_crf import LabelTrigram, estimate_trigram, log_partition

SEQUENCES = st.lists(st.lists(st.integers(1, 3), max_size=6), min_size=1, max_size=5)


def probability(model: LabelTrigram, sequence: Sequence[int], blank: int = 0) -> float:
    """The product of a sequence's conditional probabilities."""
    padded = [blank, blank, *sequence]
    steps = [model.follow[a, b, c].item() for a, b, c in zip(padded, padded[1:], padded[2:], strict=False)]
    return math.prod(steps) * model.end[padded[-2], padded[-1]].item()


@settings(deadline=None)
@given(SEQUENCES)
def test_the_trigram_is_a_distribution_over_labels_and_the_end(sequences: list[list[int]]) -> None:
    model = estimate_trigram(sequences, 4, blank=0)
    torch.testing.assert_close(model.follow.sum(-1) + model.end, torch.ones(4, 4))
    assert (model.follow[..., 0] == 0).all() and (model.end > 0).all() and (model.follow[..., 1:] > 0).all()


def test_the_trigram_is_witten_bells_by_hand() -> None:
    """One sequence "1 1": followers of each history, each seen once; V = 2 with the end in the blank's place."""
    model = estimate_trigram([[1, 1]], 2, blank=0)
    unigram = (2 + 2 * 0.5) / (3 + 2)  # label 1: counted 2 of 3, 2 kinds, uniform 1/2
    after_one = (1 + 2 * unigram) / (2 + 2)  # followers of 1: 1 and the end
    assert model.follow[1, 1, 1].item() == pytest.approx((0 + 1 * after_one) / (1 + 1))
    assert model.follow[0, 1, 1].item() == pytest.approx((1 + 1 * after_one) / (1 + 1))
    assert model.end[1, 1].item() == pytest.approx((1 + 1 * (1 - after_one)) / 2)


@settings(deadline=None)
@given(SEQUENCES, st.integers(0, 1000), st.integers(1, 5), st.sampled_from([0, 3]))
def test_the_partition_is_the_sum_over_label_sequences(
    sequences: list[list[int]], seed: int, frames: int, blank: int
) -> None:
    labels = [[(label + blank) % 4 for label in sequence] for sequence in sequences]
    model = estimate_trigram(labels, 4, blank)
    scores = random_log_probs(seed, frames, 4)
    expected = sum(p * probability(model, sequence, blank) for sequence, p in sequence_probs(scores, blank).items())
    found = log_partition(torch.tensor(scores[None]).float(), torch.tensor([frames]), model, blank)
    assert found.item() == pytest.approx(math.log(expected), rel=1e-4, abs=1e-4)


def test_the_gradient_is_that_of_the_sum_by_finite_differences() -> None:
    """Scores need not be normalized; frames beyond an utterance's end count nothing."""
    model = estimate_trigram([[1, 2, 2], [2], [1, 1, 2]], 3, 0)
    scores = torch.tensor(random_log_probs(1, 2, 6, 3) + 0.7).float().requires_grad_()
    lengths, weights = torch.tensor([6, 4]), torch.tensor([1.0, -2.0])

    def value(scores: Tensor) -> Tensor:
        return (log_partition(scores, lengths, model, 0) * weights).sum()

    value(scores).backward()
    assert scores.grad is not None and (scores.grad[1, 4:] == 0).all()
    step = 0.02
    for index in np.ndindex(2, 6, 3):
        change = torch.zeros(2, 6, 3)
        change[index] = step
        numeric = (value(scores.detach() + change) - value(scores.detach() - change)).item() / (2 * step)
        assert scores.grad[index].item() == pytest.approx(numeric, abs=2e-4)


def test_a_long_utterance_stays_within_the_range_of_float32() -> None:
    model = estimate_trigram([[1, 2, 3]], 4, 0)
    scores = torch.full((1, 3000, 4), -50.0)
    scores[..., 2] = -0.0
    scores.requires_grad_()
    total = log_partition(scores, torch.tensor([3000]), model, 0)
    total.sum().backward()
    # one path is all: label 2 in each frame
    assert total.item() == pytest.approx(math.log(probability(model, [2])), abs=1e-3)
    assert scores.grad is not None and scores.grad[0, :, 2].min().item() == pytest.approx(1.0, abs=1e-4)
