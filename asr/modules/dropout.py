"""Dropout that costs little on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asr.errors import InputError


class Dropout(nn.Module):
    """``nn.Dropout`` (Srivastava et al. 2014), of which eight elements share one random number on a CPU.

    torch draws one number per element, on one thread, which took a tenth of a training step. One random byte per
    element is enough: ``p`` is rounded to the nearest 1/256, and what is kept is scaled by exactly that fraction, so
    that expectations stay exact. The shape stays; the identity in evaluation mode.

    Args:
        p: probability of an element to be set to zero, 0 to 1.

    Raises:
        InputError: ``p`` is outside 0 to 1.
    """

    def __init__(self, p: float = 0.0) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise InputError(f"dropout={p}: expected a number from 0 to 1")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Set random elements of ``x``, of any shape, to zero and scale the others by 1 / (1 - p)."""
        if not self.training or self.p == 0:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.p)
        dropped = round(256 * self.p)
        if dropped == 256:  # more than a byte can hold
            return x * 0
        draws = torch.empty((x.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
        kept = draws.view(torch.uint8)[: x.numel()].view(x.shape) >= dropped
        return x * kept.to(x.dtype).mul_(256 / (256 - dropped))

    def extra_repr(self) -> str:
        """Return the probability, for the module's printed form."""
        return f"p={self.p}"
