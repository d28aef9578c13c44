"""Label scorers: the models that label-synchronous decoding queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from asr.errors import InputError


class LabelScorer(Protocol):
    """A model that scores the next label of sequences. A state is its memory of some sequences, one a row."""

    @property
    def device(self) -> torch.device:
        """The device that labels must be on."""

    def start(self, rows: int) -> Any:
        """Return the state of ``rows`` empty sequences, one for each input of a batch."""

    def step(self, state: Any, labels: Tensor) -> tuple[Tensor, Any]:
        """Extend each sequence by a label.

        Args:
            state: of R sequences.
            labels: (R,) int64 their next labels.

        Returns:
            Natural-log probabilities (R, V) of the labels after that, and the new state.
        """

    def select(self, state: Any, rows: Tensor) -> Any:
        """Return the state of the given rows (Q,) int64, in that order; a row may occur more than once."""


class AttentiveScorer(LabelScorer, Protocol):
    """A label scorer with attention."""

    def attention(self, state: Any) -> Tensor:
        """Return the sum over steps of the attention to each place of the input, (R, S); 1 for padding."""


class ScorerEnsemble:
    """Several scorers as one, by the weighted sum of their natural logs (shallow fusion).

    Args:
        scorers: scorers of the same labels.
        weights: weight of each; None: 1 / n, which makes the probability their geometric mean, up to a constant.

    Raises:
        InputError: there are no scorers, or another number of weights.
    """

    def __init__(self, scorers: Sequence[LabelScorer], weights: Sequence[float] | None = None) -> None:
        if not scorers:
            raise InputError("there is no model to search with")
        self.scorers = list(scorers)
        self.weights = [1 / len(scorers)] * len(scorers) if weights is None else list(weights)
        if len(self.weights) != len(self.scorers):
            raise InputError(f"{len(self.weights)} weights for {len(self.scorers)} models")

    @property
    def device(self) -> torch.device:
        """See `LabelScorer.device`."""
        return self.scorers[0].device

    def start(self, rows: int) -> list[Any]:
        """See `LabelScorer.start`."""
        return [scorer.start(rows) for scorer in self.scorers]

    def step(self, state: list[Any], labels: Tensor) -> tuple[Tensor, list[Any]]:
        """See `LabelScorer.step`."""
        steps = [scorer.step(own, labels) for scorer, own in zip(self.scorers, state, strict=True)]
        total = sum(weight * log_probs for weight, (log_probs, _) in zip(self.weights, steps, strict=True))
        assert isinstance(total, Tensor)
        return total, [own for _, own in steps]

    def select(self, state: list[Any], rows: Tensor) -> list[Any]:
        """See `LabelScorer.select`."""
        return [scorer.select(own, rows) for scorer, own in zip(self.scorers, state, strict=True)]
