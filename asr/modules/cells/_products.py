"""Matrix products of recurrent layers: by the faster of oneDNN and torch's own (MKL) on a CPU of this maker.

One core, float32: 3200 x 500 by 500 x 1000, and the product of one time step with weights that were rearranged once for
all steps (oneDNN's own order; of MKL the transposed matrix):

| CPU | 3200 x 500 x 1000: MKL, oneDNN | 16 x 250 x 1000 | 4 x 128 x 512 |
| --- | --- | --- | --- |
| AMD EPYC | 31 ms, 14 ms | 97 µs, 52 µs | |
| Intel Xeon with AMX | 20 ms, 21 ms | 61 µs, 96 µs | 6 µs, 28 µs |

torch uses oneDNN in its LSTM, in convolutions and for bfloat16, for which it is taken here too.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

Product: TypeAlias = "Callable[[Tensor], Tensor]"

MIN_STEPS = 8  # fewer products do not repay rearranging the weights


def input_product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return ``x @ weight.T + bias``, differentiable, in the precision that autocast asks for.

    Args:
        x: ``(T, N, I)``.
        weight: ``(G, I)``.
        bias: ``(G,)``.

    Returns:
        ``(T, N, G)``.
    """
    if x.device.type == "cpu" and not torch.is_autocast_enabled("cpu") and _has_one_dnn(x, weight):
        product: Tensor = _InputProduct.apply(x, weight, bias)
        return product
    return F.linear(x, weight, bias)


def recurrent_product(weight: Tensor, rows: int, steps: int) -> Product:
    """Return the function ``x -> x @ weight.T``, made fast for many calls; not differentiable.

    Args:
        weight: ``(G, H)``, in the precision of the products.
        rows: of each x, (rows, H).
        steps: how often it will be called.

    Returns:
        A function of float32 or float64 matrices, and to such.
    """
    precision, state = weight.dtype, state_type(weight)
    if steps < MIN_STEPS:
        return lambda x: F.linear(x.to(precision), weight).to(state)
    if _has_one_dnn(weight):
        packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), rows)
        operation = torch.ops.mkldnn._linear_pointwise.default
        if precision == torch.float32:
            return lambda x: operation(x, packed, None, "none", [], "")
        return lambda x: operation(x.to(precision), packed, None, "none", [], "").to(state)
    transposed = weight.t().contiguous()
    return lambda x: torch.mm(x.to(precision), transposed).to(state)


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``x @ weight.T + bias`` of matrices (M, K), (G, K) and (G,), not differentiable."""
    if _has_one_dnn(x, weight):
        result: Tensor = torch.ops.mkldnn._linear_pointwise(_dense(x), _dense(weight), bias, "none", [], "")
        return result
    return F.linear(x, weight, bias)


def _dense(x: Tensor) -> Tensor:
    """Return a matrix without gaps between its rows, or columns: oneDNN's product of others takes 100 times as long."""
    return x if x.is_contiguous() or x.t().is_contiguous() else x.contiguous()


def _has_one_dnn(*tensors: Tensor) -> bool:
    """Whether a product of these runs in oneDNN."""
    if is_recorded() or not all(_supported(x.dtype, x.device) and x.numel() for x in tensors):
        return False
    return torch.backends.mkldnn.is_available() and bool(torch.backends.mkldnn.enabled) and _HAS_OPERATIONS


def _supported(dtype: torch.dtype, device: torch.device) -> bool:
    if device.type != "cpu":
        return False
    return (dtype == torch.float32 and not _is_mkl_faster()) or (dtype == torch.bfloat16 and _HAS_BFLOAT16)


@cache
def _is_mkl_faster() -> bool:
    """Whether MKL is here, and on a CPU of its own maker."""
    try:
        processor = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:  # not Linux
        processor = platform.processor()
    return torch.backends.mkl.is_available() and "GenuineIntel" in processor


def _exists(name: str) -> bool:
    return hasattr(torch.ops.mkldnn, name)


# operations of torch.compile: not documented, so another version of torch may lack them
_HAS_OPERATIONS = _exists("_linear_pointwise") and _exists("_reorder_linear_weight")
_HAS_BFLOAT16 = _exists("_is_mkldnn_bf16_supported") and torch.ops.mkldnn._is_mkldnn_bf16_supported()


class _InputProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return product(x.flatten(0, 1), weight, bias).unflatten(0, x.shape[:2])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        rows = gradients[0].flatten(0, 1)  # (T * N, G)
        by_x, by_weight, by_bias = ctx.needs_input_grad
        return (
            product(rows, weight.t()).view_as(x) if by_x else None,
            product(rows.t(), x.flatten(0, 1).t()) if by_weight else None,
            rows.sum(0) if by_bias else None,
        )


def is_compiled(x: Tensor) -> bool:
    """Whether the compiled kernels (`asr.modules.cells._kernels`) can read a tensor of directions (T, D, N, G)."""
    return x.dtype == torch.float32 and x.device.type == "cpu" and x.shape[1] == 1 and not is_recorded()


def is_recorded() -> bool:
    """Whether torch records operations, to compile or export them, so that all must be torch's documented ones."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing()


def array(x: Tensor) -> np.ndarray[Any, Any]:
    """Return the memory of a tensor."""
    return x.detach().numpy()


def state_type(x: Tensor) -> torch.dtype:
    """Return the precision of states and gates, where products have that of ``x``."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def weight_gradient(d_sums: Tensor, h: Tensor) -> Tensor:
    """Return the gradient by recurrent weights, from that by the sums and from what the weights were multiplied with.

    Args:
        d_sums: ``(T, D, N, G)``.
        h: ``(T, D, N, H)``.

    Returns:
        ``(D, G, H)``.
    """
    pairs = zip(d_sums.unbind(1), h.unbind(1), strict=True)
    return torch.stack([product(left.flatten(0, 1).t(), right.flatten(0, 1).t()) for left, right in pairs])


def join(parts: Sequence[Tensor], axis: int) -> Tensor:
    """Stack along a new axis, without a copy where there is one part."""
    return parts[0].unsqueeze(axis) if len(parts) == 1 else torch.stack(list(parts), axis)
