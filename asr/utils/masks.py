"""Masks and frames of padded sequences."""

from __future__ import annotations

import torch
from torch import Tensor


def length_mask(lengths: Tensor, total: int) -> Tensor:
    """Return the boolean mask ``(N, total)`` of positions within each row's own length, of ``lengths`` (N,)."""
    return torch.arange(total, device=lengths.device) < lengths[:, None]


def take_frames(values: Tensor, index: Tensor) -> Tensor:
    """Return the frames ``index`` (N, K) of each row of ``values`` (N, T, F), ``(N, K, F)``."""
    return values.gather(1, index[:, :, None].expand(-1, -1, values.shape[2]))
