"""Cells without gates: simple recurrent networks of tanh units or rectifiers, and the clockwork RNN."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from asr.errors import InputError
from asr.modules.cells._products import (
    Product,
    array,
    input_product,
    is_compiled,
    is_recorded,
    recurrent_product,
    state_type,
    weight_gradient,
)
from asr.modules.cells.base import Cell, CellState


class TanhRNN(nn.RNN, Cell):
    """Simple recurrent network with tanh units (Elman 1990): h = tanh(W x + U h' + b); the state is (h,)."""

    def forward(self, x: Tensor, state: CellState | None = None) -> tuple[Tensor, CellState]:  # type: ignore[override]
        """See `Cell`; on a GPU, and for export, by torch's own layer."""
        if x.device.type != "cpu" or is_recorded():
            y, h = super().forward(x, None if state is None else state[0])
            return y, (h,)
        first = x.new_zeros(1, x.shape[1], self.hidden_size) if state is None else state[0]
        if not len(x):
            return x.new_zeros(0, *first.shape[1:]), (first,)
        weight_ih, weight_hh, bias_ih, bias_hh = self._parameters.values()  # names of the form weight_ih_l0
        assert weight_ih is not None and bias_ih is not None and bias_hh is not None
        sums = input_product(x, weight_ih, bias_ih + bias_hh)
        y = _Recurrence.apply(self.mode == "RNN_RELU", sums, weight_hh, None, first[0])
        return y, (y[-1:],)


class ReluRNN(TanhRNN):
    """Simple recurrent network with rectifiers, whose recurrent matrix begins as the identity, its biases as zero.

    So it can remember for long (IRNN; Le, Jaitly & Hinton 2015, arXiv 1504.00941). Clip its gradients.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        nn.RNN.__init__(self, input_size, hidden_size, nonlinearity="relu")
        for name, parameter in self.named_parameters():
            if name.startswith("weight_hh"):
                nn.init.eye_(parameter)
            elif name.startswith("bias"):
                nn.init.zeros_(parameter)


class ClockworkRNN(Cell):
    """Clockwork RNN: modules of tanh units with clocks of their own (Koutník et al. 2014, arXiv 1402.3511).

    A module with period p computes h = tanh(W x + U h' + b) at the steps 0, p, 2 p, … and keeps its output at all
    others. It reads the outputs of modules with its own period or longer ones. The state is (h, clock), clock (1, N, 1)
    the number of steps so far.

    Args:
        input_size: elements of an input frame.
        hidden_size: units, which are divided among the modules as evenly as possible, the shortest periods first.
        periods: of the modules, in steps.

    Raises:
        InputError: there is no period, or one is not a positive integer.
    """

    def __init__(self, input_size: int, hidden_size: int, *, periods: Sequence[int] = (1, 2, 4, 8, 16)) -> None:
        super().__init__()
        if not periods or any(not isinstance(period, int) or period < 1 for period in periods):
            raise InputError(f"periods={list(periods)}: positive integers are expected")
        self.hidden_size = hidden_size
        self.weight_ih = nn.Parameter(torch.empty(hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.empty(hidden_size))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -1 / math.sqrt(hidden_size), 1 / math.sqrt(hidden_size))
        modules = torch.arange(hidden_size) * len(periods) // hidden_size
        self.periods: Tensor  # (H,) of the units
        self.register_buffer("periods", torch.tensor(sorted(periods))[modules], persistent=False)

    def start(self, hidden: CellState) -> CellState:
        """See `Cell.start`; clocks begin at 0."""
        return *hidden, hidden[0].new_zeros(1, hidden[0].shape[1], 1, dtype=torch.long)

    def forward(self, x: Tensor, state: CellState | None = None) -> tuple[Tensor, CellState]:
        """See `Cell`."""
        if state is None:
            state = self.start((x.new_zeros(1, x.shape[1], self.hidden_size),))
        h, clock = state
        if not len(x):
            return x.new_zeros(0, x.shape[1], self.hidden_size), state
        steps = torch.arange(len(x), device=x.device)[:, None, None] + _shared(clock)  # (T, N or 1, 1)
        active = steps % self.periods == 0
        sums = input_product(x, self.weight_ih, self.bias)
        weight = self.weight_hh * (self.periods[:, None] <= self.periods)
        y = _Recurrence.apply(False, sums, weight, active, h[0])
        return y, (y[-1:], clock + len(x))


def _shared(clock: Tensor) -> Tensor:
    """Return the clock (1, 1, 1) of all rows, if there is one; else the rows' own, (1, N, 1)."""
    return clock[:, :1] if bool((clock == clock[:, :1]).all()) else clock


class _Recurrence(torch.autograd.Function):
    """The recurrent part of a layer over T steps; its backward pass multiplies by the weights once for all steps.

    Inputs: whether units are rectifiers; input products (T, N, H); weights (H, H); active (T, N or 1, H), False where a
    unit keeps its output; the first output (N, H).
    """

    @staticmethod
    def forward(ctx: Any, rectifier: bool, x: Tensor, weight: Tensor, active: Tensor | None, h0: Tensor) -> Tensor:
        ctx.rectifier, ctx.types = rectifier, (x.dtype, h0.dtype)
        weight, state = weight.to(x.dtype), state_type(x)
        x = x.to(state).contiguous()
        h = x.new_empty(len(x) + 1, *x.shape[1:])
        h[0] = h0
        active = None if active is None else active.to(state)
        with torch.autocast(x.device.type, enabled=False):
            run = _forward_compiled if is_compiled(x[:, None]) else _forward
            run(rectifier, x, recurrent_product(weight.detach(), x.shape[1], len(x)), active, h)
        ctx.save_for_backward(weight, active, h)
        return h[1:].to(weight.dtype).detach()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        weight, active, h = ctx.saved_tensors
        dy = gradients[0].to(h.dtype).contiguous()
        d_sums, kept = torch.empty_like(dy), torch.zeros_like(h[0])
        with torch.autocast(h.device.type, enabled=False):
            times_weight = recurrent_product(weight.t(), h.shape[1], len(dy))
            run = _backward_compiled if is_compiled(h[:, None]) else _backward
            dh = run(ctx.rectifier, dy, times_weight, active, h, kept, d_sums)
            d_sums = d_sums.to(weight.dtype)
            d_weight = weight_gradient(d_sums[:, None], h[:-1, None].to(weight.dtype))[0]
        return None, d_sums.to(ctx.types[0]), d_weight, None, dh.to(ctx.types[1])


def _forward_compiled(rectifier: bool, x: Tensor, times_weight: Product, active: Tensor | None, h: Tensor) -> None:
    """Compute h[1:] of all steps from h[0]."""
    from asr.modules.cells._kernels import simple_kernels  # Numba takes 0.25 s to import

    step, _ = simple_kernels(rectifier, active is not None)
    inputs, outputs, clocks = array(x), array(h), array(h if active is None else active)
    for t, before in enumerate(h[:-1].unbind(0)):
        step(t, inputs, array(times_weight(before)), clocks, outputs)


def _backward_compiled(
    rectifier: bool, dy: Tensor, times_weight: Product, active: Tensor | None, h: Tensor, kept: Tensor, d_sums: Tensor
) -> Tensor:
    """Compute d_sums (T, N, H); return the gradient by h[0]. ``kept`` (N, H) is zero."""
    from asr.modules.cells._kernels import simple_kernels

    _, step = simple_kernels(rectifier, active is not None)
    by_outputs, outputs, clocks = array(dy), array(h), array(h if active is None else active)
    carried, sums, dh = array(kept), array(d_sums), torch.zeros_like(kept)
    for t in reversed(range(len(dy))):
        step(t, by_outputs, array(dh), clocks, outputs, carried, sums)
        dh = times_weight(d_sums[t])
    return dh + kept


def _forward(rectifier: bool, x: Tensor, times_weight: Product, active: Tensor | None, h: Tensor) -> None:
    """Compute the same with torch's operations."""
    for t, sums in enumerate(x.unbind(0)):
        sums = sums + times_weight(h[t])
        after = sums.relu() if rectifier else sums.tanh()
        h[t + 1] = after if active is None else torch.where(active[t] > 0, after, h[t])


def _backward(
    rectifier: bool, dy: Tensor, times_weight: Product, active: Tensor | None, h: Tensor, kept: Tensor, d_sums: Tensor
) -> Tensor:
    """Compute the same with torch's operations."""
    dh = torch.zeros_like(kept)
    for t in reversed(range(len(dy))):
        total = dy[t] + dh + kept
        slope = (h[t + 1] > 0).to(h.dtype) if rectifier else 1 - h[t + 1] * h[t + 1]
        d_sums[t] = total * slope
        if active is not None:
            d_sums[t] *= active[t]
            kept.copy_(total * (1 - active[t]))
        dh = times_weight(d_sums[t])
    return dh + kept
