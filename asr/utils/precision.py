"""Precision of a network's products outside training."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

PRECISIONS = ("float32", "bfloat16")


def multiplies_bfloat16(device: torch.device) -> bool:
    """Return whether a device multiplies bfloat16 faster than float32: AVX512-BF16 or AMX; GPUs from Ampere on."""
    if device.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def inference_precision(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """Return the context in which a network computes its products in ``precision``, one of `PRECISIONS`.

    Only in inference mode, and on devices that are faster with it: elsewhere the context changes nothing, so that
    gradients are exact and training has the trainer's precision.
    """
    if precision == "float32" or not torch.is_inference_mode_enabled() or not multiplies_bfloat16(device):
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)
