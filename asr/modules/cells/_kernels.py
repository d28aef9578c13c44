"""Compiled elementwise parts of one time step, forward and backward: what is left of a cell without its products.

A kernel is called for each time step, between the matrix products, which are torch's. It reads one row (sequence) after
the other, and each loop over a row's units has few arrays: LLVM makes vector instructions only of loops in which it can
compare all pairs of arrays for overlap. All arrays are float32.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from asr.modules.cells._math import ELEMENTWISE, INNER, ONE, ZERO, sigmoid, tanh
from asr.utils.numba_cache import njit

# -- loops over the units of a row


@njit(**INNER)
def _sum(a: Any, b: Any, total: Any) -> None:
    for j in range(total.shape[0]):
        total[j] = a[j] + b[j]


@njit(**INNER)
def _add(x: Any, total: Any) -> None:
    for j in range(total.shape[0]):
        total[j] += x[j]


@njit(**INNER)
def _add_products(x: Any, weights: Any, values: Any) -> None:
    for j in range(x.shape[0]):
        x[j] += weights[j] * values[j]


@njit(**INNER)
def _sigmoid(x: Any) -> None:
    for j in range(x.shape[0]):
        x[j] = sigmoid(x[j])


@njit(**INNER)
def _tanh(x: Any) -> None:
    for j in range(x.shape[0]):
        x[j] = tanh(x[j])


@njit(**INNER)
def _cell(i: Any, f: Any, g: Any, before: Any, after: Any) -> None:
    for j in range(i.shape[0]):
        after[j] = f[j] * before[j] + i[j] * g[j]


@njit(**INNER)
def _coupled_cell(f: Any, g: Any, before: Any, after: Any) -> None:
    for j in range(f.shape[0]):
        after[j] = g[j] + f[j] * (before[j] - g[j])


@njit(**INNER)
def _output(o: Any, cell: Any, h: Any) -> None:
    for j in range(o.shape[0]):
        h[j] = o[j] * tanh(cell[j])


@njit(**INNER)
def _output_gradient(dh: Any, o: Any, cell: Any, d_o: Any, dc: Any) -> None:
    """Write the gradient of the output gate's sum to d_o, and add that of the cell by its output to dc."""
    for j in range(o.shape[0]):
        squashed = tanh(cell[j])
        d_o[j] = dh[j] * squashed * o[j] * (ONE - o[j])
        dc[j] += dh[j] * o[j] * (ONE - squashed * squashed)


@njit(**INNER)
def _gate_gradient(dc: Any, factor: Any, gate: Any, d_gate: Any) -> None:
    for j in range(gate.shape[0]):
        d_gate[j] = dc[j] * factor[j] * gate[j] * (ONE - gate[j])


@njit(**INNER)
def _candidate_gradient(dc: Any, i: Any, g: Any, d_g: Any) -> None:
    for j in range(g.shape[0]):
        d_g[j] = dc[j] * i[j] * (ONE - g[j] * g[j])


@njit(**INNER)
def _coupled_forget_gradient(dc: Any, f: Any, g: Any, before: Any, d_f: Any) -> None:
    for j in range(f.shape[0]):
        d_f[j] = dc[j] * (before[j] - g[j]) * f[j] * (ONE - f[j])


@njit(**INNER)
def _coupled_candidate_gradient(dc: Any, f: Any, g: Any, d_g: Any) -> None:
    for j in range(g.shape[0]):
        d_g[j] = dc[j] * (ONE - f[j]) * (ONE - g[j] * g[j])


@njit(**INNER)
def _scale(x: Any, by: Any) -> None:
    for j in range(x.shape[0]):
        x[j] *= by[j]


# -- LSTMs

Kernels = tuple[Callable[..., Any], Callable[..., Any]]


@cache
def lstm_kernels(coupled: bool, peeps: bool, depth: bool) -> Kernels:
    """Return the forward and the backward step of an LSTM; see `asr.modules.cells.lstm` for the equations.

    Gates are in the order i, f, g, o, d of a row; i is missing if ``coupled``, d without ``depth``. With ``peeps``
    there are peepholes, rows for i, f, o and, with ``depth``, for d by the cell and for d by the cell below.

    ``forward(t, x, product, gates, cells, h, peepholes, below)``: input products x (T, N, G) and recurrent product
    (N, G) in; gates (T, N, G), cells (T + 1, N, H), of which row 0 is the initial state, and outputs h (T + 1, N, H)
    out.
    ``backward(t, dy, product, gates, cells, peepholes, below, row, dc, d_gates, d_below)``: gradients by the outputs
    (T, N, H) and by the next step's recurrent product (N, H) in; dc (N, H) is that by the cells, carried from step to
    step; gradients by the gates' sums (T, N, G) and by the cells below (T, N, H) out; row (H,) is space to work in.
    Without ``peeps`` and ``depth`` their arrays are not read.
    """

    @njit(**ELEMENTWISE)
    def forward(t: Any, x: Any, product: Any, gates: Any, cells: Any, h: Any, peepholes: Any, below: Any) -> None:
        size = cells.shape[2]
        f0 = 0 if coupled else size  # where the forget gates begin
        g0, o0, d0 = f0 + size, f0 + 2 * size, f0 + 3 * size
        for n in range(cells.shape[1]):
            row, before, after = gates[t, n], cells[t, n], cells[t + 1, n]
            _sum(x[t, n], product[n], row)
            if peeps:
                _add_products(row[:size], peepholes[0], before)
                _add_products(row[size:g0], peepholes[1], before)
            _sigmoid(row[:g0])
            _tanh(row[g0:o0])
            if coupled:
                _coupled_cell(row[:g0], row[g0:o0], before, after)
            else:
                _cell(row[:size], row[size:g0], row[g0:o0], before, after)
            if depth:
                _add_products(row[d0:], peepholes[3], before)
                _add_products(row[d0:], peepholes[4], below[t, n])
                _sigmoid(row[d0:])
                _add_products(after, row[d0:], below[t, n])
            if peeps:
                _add_products(row[o0:d0], peepholes[2], after)
            _sigmoid(row[o0:d0])
            _output(row[o0:d0], after, h[t + 1, n])

    @njit(**ELEMENTWISE)
    def backward(
        t: Any,
        dy: Any,
        product: Any,
        gates: Any,
        cells: Any,
        peepholes: Any,
        below: Any,
        row: Any,
        dc: Any,
        d_gates: Any,
        d_below: Any,
    ) -> None:
        size = cells.shape[2]
        f0 = 0 if coupled else size
        g0, o0, d0 = f0 + size, f0 + 2 * size, f0 + 3 * size
        for n in range(cells.shape[1]):
            gate, d_gate, before, c = gates[t, n], d_gates[t, n], cells[t, n], dc[n]
            _sum(dy[t, n], product[n], row)
            _output_gradient(row, gate[o0:d0], cells[t + 1, n], d_gate[o0:d0], c)
            if peeps:
                _add_products(c, peepholes[2], d_gate[o0:d0])
            if coupled:
                _coupled_forget_gradient(c, gate[:g0], gate[g0:o0], before, d_gate[:g0])
                _coupled_candidate_gradient(c, gate[:g0], gate[g0:o0], d_gate[g0:o0])
            else:
                _gate_gradient(c, gate[g0:o0], gate[:size], d_gate[:size])
                _gate_gradient(c, before, gate[size:g0], d_gate[size:g0])
                _candidate_gradient(c, gate[:size], gate[g0:o0], d_gate[g0:o0])
            if depth:
                _gate_gradient(c, below[t, n], gate[d0:], d_gate[d0:])
                by_below = d_below[t, n]
                for j in range(size):
                    by_below[j] = c[j] * gate[d0 + j]
                _add_products(by_below, peepholes[4], d_gate[d0:])
            _scale(c, gate[f0:g0])
            if peeps:
                _add_products(c, peepholes[0], d_gate[:size])
                _add_products(c, peepholes[1], d_gate[size:g0])
            if depth:
                _add_products(c, peepholes[3], d_gate[d0:])

    return forward, backward


# -- gated recurrent unit


@njit(**INNER)
def _products(a: Any, b: Any, c: Any) -> None:
    for j in range(c.shape[0]):
        c[j] = a[j] * b[j]


@njit(**INNER)
def _interpolate(z: Any, candidate: Any, before: Any, after: Any) -> None:
    for j in range(z.shape[0]):
        after[j] = candidate[j] + z[j] * (before[j] - candidate[j])


@njit(**INNER)
def _update_gradient(dh: Any, z: Any, candidate: Any, before: Any, d_z: Any) -> None:
    for j in range(z.shape[0]):
        d_z[j] = dh[j] * (before[j] - candidate[j]) * z[j] * (ONE - z[j])


@njit(**INNER)
def _reset_gradient(product: Any, r: Any, before: Any, d_r: Any) -> None:
    for j in range(r.shape[0]):
        d_r[j] = product[j] * before[j] * r[j] * (ONE - r[j])


@njit(**ELEMENTWISE)
def gru_gates(t: Any, x: Any, product: Any, gates: Any, h: Any, reset: Any) -> None:
    """Compute the gates of a step: r, z of gates (T, N, 3H), and r * h (T, N, H) from h (T + 1, N, H).

    x (T, N, 3H) are input products in the order r, z, candidate; product (N, 2H) is the recurrent one.
    """
    size = h.shape[2]
    for n in range(h.shape[1]):
        row = gates[t, n, : 2 * size]
        _sum(x[t, n, : 2 * size], product[n], row)
        _sigmoid(row)
        _products(row[:size], h[t, n], reset[t, n])


@njit(**ELEMENTWISE)
def gru_output(t: Any, x: Any, product: Any, gates: Any, h: Any) -> None:
    """Compute the candidate of a step, from its recurrent product (N, H), and h[t + 1]."""
    size = h.shape[2]
    for n in range(h.shape[1]):
        candidate = gates[t, n, 2 * size :]
        _sum(x[t, n, 2 * size :], product[n], candidate)
        _tanh(candidate)
        _interpolate(gates[t, n, size : 2 * size], candidate, h[t, n], h[t + 1, n])


@njit(**ELEMENTWISE)
def gru_output_gradient(t: Any, dy: Any, product: Any, gates: Any, h: Any, dh: Any, d_gates: Any) -> None:
    """Compute the gradients by the sums of z and of the candidate.

    dy (T, N, H), product (N, H) of the next step and dh (N, H) add up to the gradient by h[t + 1], which dh then holds.
    """
    size = h.shape[2]
    for n in range(h.shape[1]):
        z, candidate, row = gates[t, n, size : 2 * size], gates[t, n, 2 * size :], dh[n]
        _add(dy[t, n], row)
        _add(product[n], row)
        _update_gradient(row, z, candidate, h[t, n], d_gates[t, n, size : 2 * size])
        _coupled_candidate_gradient(row, z, candidate, d_gates[t, n, 2 * size :])


@njit(**ELEMENTWISE)
def gru_gate_gradient(t: Any, product: Any, gates: Any, h: Any, dh: Any, d_gates: Any) -> None:
    """Compute the gradient by the sum of r, from that by r * h (N, H); dh becomes that by h[t], less the products'."""
    size = h.shape[2]
    for n in range(h.shape[1]):
        r, row = gates[t, n, :size], dh[n]
        _reset_gradient(product[n], r, h[t, n], d_gates[t, n, :size])
        _scale(row, gates[t, n, size : 2 * size])
        _add_products(row, r, product[n])


# -- one layer of units without gates


@njit(**INNER)
def _tanh_output(x: Any, product: Any, h: Any) -> None:
    for j in range(h.shape[0]):
        h[j] = tanh(x[j] + product[j])


@njit(**INNER)
def _relu_output(x: Any, product: Any, h: Any) -> None:
    for j in range(h.shape[0]):
        total = x[j] + product[j]
        h[j] = ZERO if total < ZERO else total  # so written, NaN stays NaN


@njit(**INNER)
def _tanh_gradient(dh: Any, h: Any, d_sum: Any) -> None:
    for j in range(h.shape[0]):
        y = h[j]
        d_sum[j] = dh[j] * (ONE - y * y)


@njit(**INNER)
def _relu_gradient(dh: Any, h: Any, d_sum: Any) -> None:
    for j in range(h.shape[0]):
        d_sum[j] = ZERO if h[j] <= ZERO else dh[j]


@cache
def simple_kernels(rectifier: bool, clocked: bool) -> Kernels:
    """Return the forward and the backward step of a layer of tanh units, or rectifiers, some of which may pause.

    ``forward(t, x, product, active, h)``: input products x (T, N, H), recurrent product (N, H) and, if ``clocked``,
    active (T, N or 1, H), 0 for units that keep their output, in; h (T + 1, N, H), of which row 0 is the initial state,
    out.
    ``backward(t, dy, product, active, h, dh, d_sums)``: gradients by the outputs (T, N, H) and by the next step's
    recurrent product (N, H) in; dh (N, H) is that by outputs that are kept, carried from step to step; gradients by
    the sums (T, N, H) out.
    """

    @njit(**ELEMENTWISE)
    def forward(t: Any, x: Any, product: Any, active: Any, h: Any) -> None:
        for n in range(h.shape[1]):
            if rectifier:
                _relu_output(x[t, n], product[n], h[t + 1, n])
            else:
                _tanh_output(x[t, n], product[n], h[t + 1, n])
            if clocked:
                on = active[t, n % active.shape[1]]
                for j in range(on.shape[0]):
                    if on[j] == 0:
                        h[t + 1, n, j] = h[t, n, j]

    @njit(**ELEMENTWISE)
    def backward(t: Any, dy: Any, product: Any, active: Any, h: Any, dh: Any, d_sums: Any) -> None:
        for n in range(h.shape[1]):
            row = dh[n]
            _add(dy[t, n], row)
            _add(product[n], row)
            if rectifier:
                _relu_gradient(row, h[t + 1, n], d_sums[t, n])
            else:
                _tanh_gradient(row, h[t + 1, n], d_sums[t, n])
            if clocked:
                on = active[t, n % active.shape[1]]
                for j in range(on.shape[0]):
                    if on[j] == 0:
                        d_sums[t, n, j] = 0
                    else:
                        row[j] = 0
            else:
                row[:] = 0

    return forward, backward
