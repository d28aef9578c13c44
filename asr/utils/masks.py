"""Masks of padded sequences."""

from __future__ import annotations

import torch
from torch import Tensor


def length_mask(lengths: Tensor, total: int) -> Tensor:
    """Boolean (N, total): which positions lie within each row's own length (N,)."""
    return torch.arange(total, device=lengths.device) < lengths[:, None]
