"""Label scorers: the models that label-synchronous decoding queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from asr.errors import InputError


class LabelScorer(Protocol):
    """A model that scores the next label. A state is its memory of so many label sequences, one a row."""

    @property
    def device(self) -> torch.device:
        """Where labels are wanted."""

    def start(self, rows: int) -> Any:
        """The state of so many empty sequences: of what a batch consists, one after another."""

    def step(self, state: Any, labels: Tensor) -> tuple[Tensor, Any]:
        """Natural-log probabilities (R, V) of the label that follows, after ``labels`` (R,), and the state then."""

    def select(self, state: Any, rows: Tensor) -> Any:
        """The state of some rows (Q,), in that order; a row may occur more than once."""


class AttentiveScorer(LabelScorer, Protocol):
    """A scorer that knows what it has attended to."""

    def attention(self, state: Any) -> Tensor:
        """The sum (R, S) of the attention that each place of the input got so far; 1 for padding."""


class ScorerEnsemble:
    """Several scorers as one: the weighted sum of their natural logs (shallow fusion).

    The weights of an ensemble are 1 / n, then it is the geometric mean of what they say, up to a constant.
    """

    def __init__(self, scorers: Sequence[LabelScorer], weights: Sequence[float] | None = None) -> None:
        if not scorers:
            raise InputError("there is no model to search by")
        self.scorers = list(scorers)
        self.weights = [1 / len(scorers)] * len(scorers) if weights is None else list(weights)
        if len(self.weights) != len(self.scorers):
            raise InputError(f"{len(self.weights)} weights for {len(self.scorers)} models")

    @property
    def device(self) -> torch.device:
        return self.scorers[0].device

    def start(self, rows: int) -> list[Any]:
        return [scorer.start(rows) for scorer in self.scorers]

    def step(self, state: list[Any], labels: Tensor) -> tuple[Tensor, list[Any]]:
        found = [scorer.step(own, labels) for scorer, own in zip(self.scorers, state, strict=True)]
        total = sum(weight * log_probs for weight, (log_probs, _) in zip(self.weights, found, strict=True))
        assert isinstance(total, Tensor)
        return total, [own for _, own in found]

    def select(self, state: list[Any], rows: Tensor) -> list[Any]:
        return [scorer.select(own, rows) for scorer, own in zip(self.scorers, state, strict=True)]
