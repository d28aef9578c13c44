"""Masks of padded sequences."""

from __future__ import annotations

import torch
from torch import Tensor


def length_mask(lengths: Tensor, total: int) -> Tensor:
    """Return the boolean mask ``(N, total)`` of positions within each row's own length, of ``lengths`` (N,)."""
    return torch.arange(total, device=lengths.device) < lengths[:, None]
