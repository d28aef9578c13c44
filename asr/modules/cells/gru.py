"""Gated recurrent unit as Cho et al. 2014 (arXiv 1406.1078) define it: the reset gate before the recurrent product.

With h' of the step before::

    r = σ(W_r x + U_r h' + b_r)
    z = σ(W_z x + U_z h' + b_z)
    n = tanh(W x + U (r * h') + b)
    h = z * h' + (1 - z) * n

Rows of the weights are in the order r, z, n.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from asr.modules.cells._products import (
    array,
    input_product,
    is_compiled,
    recurrent_product,
    state_type,
    weight_gradient,
)
from asr.modules.cells.base import Cell, CellState


class GRU(Cell):
    """Gated recurrent unit (Cho et al. 2014): the reset gate is applied before the recurrent product; state (h,).

    `asr.modules.cells.torch_cells.GRUResetAfter` is torch's and cuDNN's variant.

    Args:
        input_size: elements of an input frame.
        hidden_size: units.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.weight_ih = nn.Parameter(torch.empty(3 * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(3 * hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.empty(3 * hidden_size))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -1 / math.sqrt(hidden_size), 1 / math.sqrt(hidden_size))

    def forward(self, x: Tensor, state: CellState | None = None) -> tuple[Tensor, CellState]:
        """See `Cell`."""
        first = x.new_zeros(1, x.shape[1], self.hidden_size) if state is None else state[0]
        if not len(x):
            return x.new_zeros(0, *first.shape[1:]), (first,)
        y = _Recurrence.apply(input_product(x, self.weight_ih, self.bias), self.weight_hh, first[0])
        return y, (y[-1:],)

    @torch.no_grad()
    def activations(self, x: Tensor, below: Tensor | None = None) -> dict[str, Tensor]:
        """See `Cell.activations`."""
        sums = input_product(x, self.weight_ih, self.bias)
        h = sums.new_zeros(len(x) + 1, x.shape[1], self.hidden_size)
        gates = torch.empty_like(sums)
        _forward(sums, self.weight_hh, h, gates, torch.empty_like(h[1:]))
        reset, update, candidate = gates.chunk(3, -1)
        return {"reset gate": reset, "update gate": update, "candidate": candidate, "output": h[1:]}


class _Recurrence(torch.autograd.Function):
    """The recurrent part of a layer over T steps; its backward pass multiplies by the weights once for all steps.

    Inputs: input products (T, N, 3H), weights (3H, H), the first output (N, H).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, h0: Tensor) -> Tensor:
        ctx.types = x.dtype, h0.dtype
        weight, state = weight.to(x.dtype), state_type(x)
        x = x.to(state).contiguous()
        h = x.new_empty(len(x) + 1, *h0.shape)
        gates, reset = torch.empty_like(x), torch.empty_like(h[1:])
        h[0] = h0
        with torch.autocast(x.device.type, enabled=False):
            (_forward_compiled if is_compiled(x[:, None]) else _forward)(x, weight.detach(), h, gates, reset)
        ctx.save_for_backward(weight, h, gates, reset)
        return h[1:].to(weight.dtype).detach()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        weight, h, gates, reset = ctx.saved_tensors
        size = h.shape[-1]
        dy = gradients[0].to(h.dtype).contiguous()
        d_gates = torch.empty_like(gates)
        with torch.autocast(h.device.type, enabled=False):
            dh = (_backward_compiled if is_compiled(h[:, None]) else _backward)(dy, weight, h, gates, d_gates)
            d_gates = d_gates.to(weight.dtype)[:, None]
            by_h = weight_gradient(d_gates[..., : 2 * size], h[:-1, None].to(weight.dtype))
            by_reset = weight_gradient(d_gates[..., 2 * size :], reset[:, None].to(weight.dtype))
        d_weight = torch.cat([by_h[0], by_reset[0]])
        return d_gates[:, 0].to(ctx.types[0]), d_weight, dh.to(ctx.types[1])


def _forward_compiled(x: Tensor, weight: Tensor, h: Tensor, gates: Tensor, reset: Tensor) -> None:
    """Compute h[1:], gates (T, N, 3H) and reset = r * h (T, N, H) of all steps."""
    from asr.modules.cells._kernels import gru_gates, gru_output  # Numba takes 0.25 s to import

    size = h.shape[-1]
    times_gates = recurrent_product(weight[: 2 * size], h.shape[1], len(x))
    times_candidate = recurrent_product(weight[2 * size :], h.shape[1], len(x))
    inputs, outputs, activations, products = array(x), array(h), array(gates), array(reset)
    for t, before in enumerate(h[:-1].unbind(0)):
        gru_gates(t, inputs, array(times_gates(before)), activations, outputs, products)
        gru_output(t, inputs, array(times_candidate(reset[t])), activations, outputs)


def _backward_compiled(dy: Tensor, weight: Tensor, h: Tensor, gates: Tensor, d_gates: Tensor) -> Tensor:
    """Compute d_gates (T, N, 3H); return the gradient by h[0]."""
    from asr.modules.cells._kernels import gru_gate_gradient, gru_output_gradient

    size = h.shape[-1]
    times_gates = recurrent_product(weight[: 2 * size].t(), h.shape[1], len(dy))
    times_candidate = recurrent_product(weight[2 * size :].t(), h.shape[1], len(dy))
    by_outputs, outputs, activations, sums = array(dy), array(h), array(gates), array(d_gates)
    kept, dh = torch.zeros_like(h[0]), torch.zeros_like(h[0])
    carried = array(kept)
    for t in reversed(range(len(dy))):
        gru_output_gradient(t, by_outputs, array(dh), activations, outputs, carried, sums)
        by_reset = times_candidate(d_gates[t, :, 2 * size :].contiguous())
        gru_gate_gradient(t, array(by_reset), activations, outputs, carried, sums)
        dh = times_gates(d_gates[t, :, : 2 * size].contiguous())
    return dh + kept


def _forward(x: Tensor, weight: Tensor, h: Tensor, gates: Tensor, reset: Tensor) -> None:
    """Compute the same with torch's operations."""
    size = h.shape[-1]
    times_gates = recurrent_product(weight[: 2 * size], h.shape[1], len(x))
    times_candidate = recurrent_product(weight[2 * size :], h.shape[1], len(x))
    for t, before in enumerate(h[:-1].unbind(0)):
        r, z = (x[t, :, : 2 * size] + times_gates(before)).sigmoid().chunk(2, -1)
        reset[t] = r * before
        n = (x[t, :, 2 * size :] + times_candidate(reset[t])).tanh()
        gates[t] = torch.cat([r, z, n], -1)
        h[t + 1] = n + z * (before - n)


def _backward(dy: Tensor, weight: Tensor, h: Tensor, gates: Tensor, d_gates: Tensor) -> Tensor:
    """Compute the same with torch's operations."""
    size = h.shape[-1]
    times_gates = recurrent_product(weight[: 2 * size].t(), h.shape[1], len(dy))
    times_candidate = recurrent_product(weight[2 * size :].t(), h.shape[1], len(dy))
    dh = torch.zeros_like(h[0])
    for t in reversed(range(len(dy))):
        r, z, n = gates[t].chunk(3, -1)
        total = dy[t] + dh
        d_z = total * (h[t] - n) * z * (1 - z)
        d_n = total * (1 - z) * (1 - n * n)
        by_reset = times_candidate(d_n)
        d_r = by_reset * h[t] * r * (1 - r)
        d_gates[t] = torch.cat([d_r, d_z, d_n], -1)
        dh = total * z + by_reset * r + times_gates(torch.cat([d_r, d_z], -1))
    return dh
