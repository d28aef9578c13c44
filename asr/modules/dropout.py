"""Dropout that costs little on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Dropout(nn.Module):
    """``nn.Dropout`` (Srivastava et al. 2014); on a CPU eight elements share one draw of the random generator.

    torch draws once an element and on one thread, which took a tenth of a training step. A byte an element is enough
    for a probability ``p`` to the nearest 1/256, and what is kept is scaled by that very fraction, so that expectations
    stay exact. Shape in, shape out; the identity in evaluation.
    """

    def __init__(self, p: float = 0.0) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability {p} is not from 0 to 1")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.p)
        dropped = round(256 * self.p)
        if dropped == 256:  # no byte
            return x * 0
        draws = torch.empty((x.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
        kept = draws.view(torch.uint8)[: x.numel()].view(x.shape) >= dropped
        return x * kept.to(x.dtype).mul_(256 / (256 - dropped))

    def extra_repr(self) -> str:
        return f"p={self.p}"
