"""Gaussian noise on weights while their gradient is computed."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn


class WeightNoise:
    """Regularize networks by Gaussian noise on their weights.

    The noise makes a network simpler, in the amount of information that is needed to describe its weights. Graves,
    Mohamed & Hinton (2013, arXiv 1303.5778) add noise of standard deviation 0.075 once per training sequence. Call
    `add` before the forward pass and `remove` after the backward pass, or after those of several batches that shall
    have the same noise: the gradient is that of the noisy weights, and the optimizer steps from the clean ones. Random
    numbers are torch's global ones.

    Args:
        parameters: those that need no gradient are left alone.
        std: standard deviation of the noise; 0 is off, and draws no random numbers.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], std: float) -> None:
        self.parameters: list[torch.Tensor] = [parameter for parameter in parameters if parameter.requires_grad]
        self.std = std
        self._clean: list[torch.Tensor] = []

    @torch.no_grad()
    def add(self) -> None:
        """Add noise to the weights; does nothing if there is noise on them already."""
        if self.std and not self._clean:
            self._clean = [parameter.clone() for parameter in self.parameters]
            torch._foreach_add_(self.parameters, [torch.randn_like(w) for w in self._clean], alpha=self.std)

    @torch.no_grad()
    def remove(self) -> None:
        """Restore the clean weights, exactly."""
        if self._clean:
            torch._foreach_copy_(self.parameters, self._clean)
            self._clean = []
