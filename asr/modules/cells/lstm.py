"""LSTMs that torch lacks: with peepholes, with coupled gates, with a depth gate.

All are one layer with different gates. In the letters of Graves, Mohamed & Hinton (2013, arXiv 1303.5778, equations
3-7), with c' and h' of the step before and c° of the layer below::

    i = σ(W_xi x + W_hi h' + w_ci * c' + b_i)          coupled: i = 1 - f
    f = σ(W_xf x + W_hf h' + w_cf * c' + b_f)
    c = f * c' + i * tanh(W_xc x + W_hc h' + b_c)      with depth gate: + d * c°
    d = σ(W_xd x + W_hd h' + w_cd * c' + w_ld * c° + b_d)
    o = σ(W_xo x + W_ho h' + w_co * c + b_o)
    h = o * tanh(c)

Rows of the weights are in the order i, f, c, o, d.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from asr.modules.cells._products import (
    array,
    input_product,
    is_compiled,
    join,
    recurrent_product,
    state_type,
    weight_gradient,
)
from asr.modules.cells.base import Cell, CellState


@dataclass(frozen=True)
class Gates:
    """The kind of an LSTM.

    Attributes:
        coupled: the input gate is 1 - f.
        peepholes: gates see the cell.
        depth: there is a depth gate.
    """

    coupled: bool = False
    peepholes: bool = False
    depth: bool = False

    @property
    def count(self) -> int:
        """Number of gates, the candidate included."""
        return 4 - self.coupled + self.depth


class GatedLSTM(Cell):
    """Base of the LSTMs of this module; the state is (h, c).

    Args:
        input_size: elements of an input frame.
        hidden_size: units.
        depth: whether there is a layer below, whose cells a depth gate reads.
    """

    num_states = 2
    kind: Gates

    def __init__(self, input_size: int, hidden_size: int, *, depth: bool = False) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.kind = replace(self.kind, depth=depth)
        gates = self.kind.count
        self.weight_ih = nn.Parameter(torch.empty(gates * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(gates * hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.empty(gates * hidden_size))
        peepholes = (3 + 2 * depth) * self.kind.peepholes  # of i, f, o; of d by the cell and by the cell below
        self.peephole = nn.Parameter(torch.empty(peepholes, hidden_size)) if peepholes else None
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -1 / math.sqrt(hidden_size), 1 / math.sqrt(hidden_size))

    def forward(self, x: Tensor, state: CellState | None = None) -> tuple[Tensor, CellState]:
        """See `Cell`."""
        y, after, _ = self.run(x, state)
        return y, after

    def run(
        self, x: Tensor, state: CellState | None = None, below: Tensor | None = None
    ) -> tuple[Tensor, CellState, Tensor | None]:
        """See `Cell.run`; third are the cells (T, N, hidden_size)."""
        if not len(x):
            return x.new_zeros(0, x.shape[1], self.hidden_size), state or self._zeros(x), below
        y, cells = _run([self], [x], state or self._zeros(x), [below])
        return y[:, 0], (y[-1], cells[-1]), cells[:, 0]

    @torch.no_grad()
    def activations(self, x: Tensor, below: Tensor | None = None) -> dict[str, Tensor]:
        """See `Cell.activations`."""
        sums = input_product(x, self.weight_ih, self.bias)
        return lstm_activations(self.kind, sums, self.weight_hh, self.peephole, below)

    @classmethod
    def run_directions(
        cls, layers: Sequence[Cell], xs: Sequence[Tensor], below: Sequence[Tensor | None]
    ) -> list[tuple[Tensor, Tensor | None]]:
        """See `Cell.run_directions`."""
        own = [layer for layer in layers if isinstance(layer, GatedLSTM)]
        zeros = xs[0].new_zeros(len(own), xs[0].shape[1], own[0].hidden_size)
        y, cells = _run(own, xs, (zeros, zeros), below)
        return list(zip(y.unbind(1), cells.unbind(1), strict=True))

    def _zeros(self, x: Tensor) -> CellState:
        return (x.new_zeros(1, x.shape[1], self.hidden_size),) * 2


class PeepholeLSTM(GatedLSTM):
    """LSTM whose gates see the cell through diagonal weights (Gers & Schmidhuber 2000; Graves et al. 2013)."""

    forget_gate = 1
    kind = Gates(peepholes=True)


class CoupledLSTM(GatedLSTM):
    """LSTM whose input gate is 1 minus its forget gate, without peepholes (CIFG of Greff et al. 2015, 1503.04069)."""

    forget_gate = 0
    kind = Gates(coupled=True)


class DepthGatedLSTM(GatedLSTM):
    """LSTM with peepholes whose cell also takes from the cell below, through a gate (Yao et al. 2015, 1508.03790).

    The lowest layer has no such gate.
    """

    forget_gate = 1
    reads_below = True
    kind = Gates(peepholes=True)


def _run(
    layers: Sequence[GatedLSTM], xs: Sequence[Tensor], state: CellState, below: Sequence[Tensor | None]
) -> tuple[Tensor, Tensor]:
    """Return outputs and cells (T, D, N, H) of D layers from their state, tensors (D, N, H)."""
    first = layers[0]
    x = join([input_product(x, layer.weight_ih, layer.bias) for layer, x in zip(layers, xs, strict=True)], 1)
    weight = join([layer.weight_hh for layer in layers], 0).to(x.dtype)
    peephole = None
    if first.kind.peepholes:
        peephole = join([layer.peephole for layer in layers if layer.peephole is not None], 0)
    cells_below = None
    if first.kind.depth:
        cells_below = join([cells for cells in below if cells is not None], 1)
    y, cells = _Recurrence.apply(first.kind, x, weight, peephole, cells_below, *state)
    return y, cells


class _Recurrence(torch.autograd.Function):
    """The recurrent part of D layers over T steps, with a backward pass of its own.

    Autograd's would keep a dozen tensors and nodes a step, and add up the gradient of the weights step by step; here it
    is one product over all steps.
    """

    @staticmethod
    def forward(
        ctx: Any,
        kind: Gates,
        x: Tensor,
        weight: Tensor,
        peephole: Tensor | None,
        below: Tensor | None,
        h0: Tensor,
        c0: Tensor,
    ) -> tuple[Tensor, Tensor]:
        steps, directions, rows, size = *x.shape[:3], weight.shape[2]
        ctx.kind, ctx.types = kind, (x.dtype, h0.dtype, c0.dtype)
        state = state_type(x)
        x = x.to(state).contiguous()
        h = x.new_empty(steps + 1, directions, rows, size)
        cells, gates = torch.empty_like(h), torch.empty_like(x)
        h[0], cells[0] = h0, c0
        peephole = peephole if peephole is None else peephole.to(state)
        below = below if below is None else below.to(state).contiguous()
        with torch.autocast(x.device.type, enabled=False):
            run = _forward_compiled if is_compiled(x) else _forward
            run(kind, x, weight, peephole, below, h, cells, gates)
        h = h.to(weight.dtype)
        ctx.save_for_backward(weight, peephole, below, h, cells, gates)
        ctx.set_materialize_grads(False)
        return h[1:].detach(), cells[1:].detach()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        weight, peephole, below, h, cells, gates = ctx.saved_tensors
        dy, d_cells = gradients
        dy = torch.zeros_like(cells[1:]) if dy is None else dy.to(cells.dtype).contiguous()
        d_gates = torch.empty_like(gates)
        d_below = None if below is None else torch.empty_like(below)
        dc = torch.zeros_like(cells[0])
        with torch.autocast(h.device.type, enabled=False):
            run = _backward_compiled if is_compiled(cells) else _backward
            dh = run(ctx.kind, dy, d_cells, weight, peephole, below, cells, gates, dc, d_gates, d_below)
            d_peephole = None if peephole is None else _peephole_gradient(ctx.kind, d_gates, cells, below)
            d_gates = d_gates.to(weight.dtype)
            d_weight = weight_gradient(d_gates, h[:-1]) if ctx.needs_input_grad[2] else None
        d_x, d_h, d_c = (values.to(dtype) for values, dtype in zip((d_gates, dh, dc), ctx.types, strict=True))
        return None, d_x, d_weight, d_peephole, d_below, d_h, d_c


def _peephole_gradient(kind: Gates, d_gates: Tensor, cells: Tensor, below: Tensor | None) -> Tensor:
    """Return the gradient (D, 3 or 5, H) by the peepholes."""
    d_i, d_f, _, d_o, *d_depth = d_gates.split(cells.shape[-1], -1)
    products = [d_i * cells[:-1], d_f * cells[:-1], d_o * cells[1:]]
    if kind.depth and below is not None:
        products += [d_depth[0] * cells[:-1], d_depth[0] * below]
    return torch.stack([values.sum((0, 2)) for values in products], 1)


def _forward_compiled(
    kind: Gates,
    x: Tensor,
    weight: Tensor,
    peephole: Tensor | None,
    below: Tensor | None,
    h: Tensor,
    cells: Tensor,
    gates: Tensor,
) -> None:
    """Compute h, cells (T + 1, 1, N, H) and gates (T, 1, N, G) of all steps."""
    from asr.modules.cells._kernels import lstm_kernels  # Numba takes 0.25 s to import

    step, _ = lstm_kernels(kind.coupled, kind.peepholes, kind.depth)
    times_weight = recurrent_product(weight[0].detach(), h.shape[2], len(x))
    weights = array(cells[0] if peephole is None else peephole[0])
    others = array((cells if below is None else below)[:, 0])
    inputs, outputs, states, activations = (array(values[:, 0]) for values in (x, h, cells, gates))
    for t, before in enumerate(h[:-1, 0].unbind(0)):
        step(t, inputs, array(times_weight(before)), activations, states, outputs, weights, others)


def _backward_compiled(
    kind: Gates,
    dy: Tensor,
    d_cells: Tensor | None,
    weight: Tensor,
    peephole: Tensor | None,
    below: Tensor | None,
    cells: Tensor,
    gates: Tensor,
    dc: Tensor,
    d_gates: Tensor,
    d_below: Tensor | None,
) -> Tensor:
    """Compute d_gates (T, 1, N, G), d_below and dc; return the gradient by the first h."""
    from asr.modules.cells._kernels import lstm_kernels

    _, step = lstm_kernels(kind.coupled, kind.peepholes, kind.depth)
    times_weight = recurrent_product(weight[0].t(), dc.shape[1], len(dy))
    weights = array(cells[0] if peephole is None else peephole[0])
    others = array((cells if below is None else below)[:, 0])
    by_others = array((cells if d_below is None else d_below)[:, 0])
    by_outputs, states, activations, sums = (array(values[:, 0]) for values in (dy, cells, gates, d_gates))
    carried, row = array(dc[0]), array(dc.new_empty(dc.shape[-1]))
    dh = torch.zeros_like(dy[0, 0])
    for t in reversed(range(len(dy))):
        if d_cells is not None:
            dc += d_cells[t]
        step(t, by_outputs, array(dh), activations, states, weights, others, row, carried, sums, by_others)
        dh = times_weight(d_gates[t, 0])
    return dh[None]


def lstm_activations(
    kind: Gates, sums: Tensor, weight: Tensor, peephole: Tensor | None = None, below: Tensor | None = None
) -> dict[str, Tensor]:
    """Return what an LSTM computes at each step from the state zero, see `Cell.activations`.

    Args:
        kind: of the LSTM.
        sums: products (T, N, G) of inputs and weights, and the bias.
        weight: recurrent weights (G, H).
        peephole: weights (3 or 5, H).
        below: cells (T, N, H) of the layer below, which a depth gate reads.
    """
    h = sums.new_zeros(len(sums) + 1, 1, sums.shape[1], weight.shape[1])
    cells, gates = torch.zeros_like(h), torch.empty_like(sums)[:, None]
    below = below[:, None] if below is not None and kind.depth else None
    _forward(kind, sums[:, None], weight[None], None if peephole is None else peephole[None], below, h, cells, gates)
    names = ["input gate", "forget gate", "candidate", "output gate", "depth gate"]
    found = dict(zip(names[kind.coupled : 4 + kind.depth], gates[:, 0].chunk(kind.count, -1), strict=True))
    if kind.coupled:
        found["input gate"] = 1 - found["forget gate"]
    return {**found, "cell": cells[1:, 0], "output": h[1:, 0]}


def _forward(
    kind: Gates,
    x: Tensor,
    weight: Tensor,
    peephole: Tensor | None,
    below: Tensor | None,
    h: Tensor,
    cells: Tensor,
    gates: Tensor,
) -> None:
    """Compute the same with torch's operations, for D directions."""
    transposed = weight.transpose(1, 2)
    p = [] if peephole is None else peephole[:, :, None].unbind(1)  # (D, 1, H) each
    for t, before in enumerate(cells[:-1].unbind(0)):
        i, f, g, o, d = _parts(kind, x[t] + torch.bmm(h[t].to(weight.dtype), transposed))
        if p:
            i, f = i + p[0] * before, f + p[1] * before
        f, g = f.sigmoid(), g.tanh()
        i = 1 - f if kind.coupled else i.sigmoid()
        after = f * before + i * g
        if below is not None:
            d = (d + p[3] * before + p[4] * below[t]).sigmoid()
            after = after + d * below[t]
        if p:
            o = o + p[2] * after
        o = o.sigmoid()
        values = [i, f, g, o, d]
        gates[t] = torch.cat(values[kind.coupled : 4 + kind.depth], -1)
        cells[t + 1], h[t + 1] = after, o * after.tanh()


def _backward(
    kind: Gates,
    dy: Tensor,
    d_cells: Tensor | None,
    weight: Tensor,
    peephole: Tensor | None,
    below: Tensor | None,
    cells: Tensor,
    gates: Tensor,
    dc: Tensor,
    d_gates: Tensor,
    d_below: Tensor | None,
) -> Tensor:
    """Compute the same with torch's operations, for D directions."""
    p = [] if peephole is None else peephole[:, :, None].unbind(1)
    dh = torch.zeros_like(dy[0])
    for t in reversed(range(len(dy))):
        before = cells[t]
        i, f, g, o, d = _parts(kind, gates[t])
        total = dy[t] + dh
        squashed = cells[t + 1].tanh()
        d_o = total * squashed * o * (1 - o)
        dc += total * o * (1 - squashed * squashed)
        if d_cells is not None:
            dc += d_cells[t]
        if p:
            dc += p[2] * d_o
        if kind.coupled:
            i = 1 - f
        d_f = dc * (before - g if kind.coupled else before) * f * (1 - f)
        d_g = dc * i * (1 - g * g)
        d_i = dc * g * i * (1 - i)
        values = [d_i, d_f, d_g, d_o]
        by_before = dc * f
        if p:
            by_before = by_before + p[0] * d_i + p[1] * d_f
        if below is not None and d_below is not None:
            d_d = dc * below[t] * d * (1 - d)
            d_below[t] = dc * d + p[4] * d_d
            by_before = by_before + p[3] * d_d
            values.append(d_d)
        dc.copy_(by_before)
        d_gates[t] = torch.cat(values[kind.coupled :], -1)
        dh = torch.bmm(d_gates[t].to(weight.dtype), weight).to(dc.dtype)
    return dh


def _parts(kind: Gates, row: Tensor) -> list[Tensor]:
    """Split (D, N, G) into i, f, g, o, d of H units each; a gate that the kind lacks is the part beside it."""
    parts = list(row.chunk(kind.count, -1))
    return [*parts[: 1 * kind.coupled], *parts, *parts[-1:]][:5]
