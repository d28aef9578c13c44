"""The interface to a transducer's networks that its searches use."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor


class TransducerNetwork(Protocol):
    """Prediction network and output network of a transducer, `asr.modules.transducer_head.TransducerHead` say.

    Attributes:
        labels: number V of labels, blank included.
        blank: index of the blank.
    """

    labels: int
    blank: int

    @property
    def device(self) -> torch.device:
        """Device of the weights."""

    def start(self, rows: int) -> tuple[Tensor, Tensor]:
        """Begin R label sequences: the outputs (R, O) and the states (R, S) of the prediction network."""

    def step(self, states: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Read ``labels`` (R,) from ``states`` (R, S) on: outputs (R, O) and states (R, S)."""

    def predict(self, labels: Tensor) -> Tensor:
        """Return the outputs (N, U + 1, O) before each of ``labels`` (N, U), and after all."""

    def log_probs(self, frames: Tensor, predicted: Tensor) -> Tensor:
        """Return natural-log probabilities (…, V) of frames (…, D) and outputs (…, O), which are broadcast."""
