"""Recurrent cells against scalar references written from the equations, and numerical gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from asr.modules.cells import CELLS, Cell, _products
from asr.modules.rnn import RNN

INPUTS, UNITS = 3, 6
DEPTH = "depth_gated_lstm above another layer"
ALL = [*CELLS, DEPTH]
Row = list[float]


def make(cell: str, dtype: torch.dtype = torch.float32, **options: Any) -> Cell:
    """Return a layer with larger weights than its own, so that errors show."""
    torch.manual_seed(0)
    layer = CELLS["depth_gated_lstm"](INPUTS, UNITS, depth=True) if cell == DEPTH else CELLS[cell](INPUTS, UNITS)
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -0.7, 0.7)
    return layer.to(dtype)


# -- scalar references


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


class Reference:
    """One layer over one sequence, unit by unit, in Python's floats."""

    def __init__(self, layer: Cell) -> None:
        self.values = {name.removesuffix("_l0"): value.tolist() for name, value in layer.named_parameters()}
        self.biases = [value for name, value in self.values.items() if name.startswith("bias")]

    def inputs(self, row: int, x: Row, with_bias: bool = True) -> float:
        bias = sum(bias[row] for bias in self.biases) if with_bias else 0.0
        return bias + sum(w * value for w, value in zip(self.values["weight_ih"][row], x, strict=True))

    def recurrent(self, row: int, h: Row) -> float:
        return sum(w * value for w, value in zip(self.values["weight_hh"][row], h, strict=True))

    def sum(self, gate: int, j: int, x: Row, h: Row) -> float:
        return self.inputs(gate * UNITS + j, x) + self.recurrent(gate * UNITS + j, h)

    def peephole(self, number: int, j: int) -> float:
        return float(self.values["peephole"][number][j])


def simple(squash: Callable[[float], float]) -> Callable[..., tuple[Row, Row]]:
    def step(r: Reference, t: int, x: Row, h: Row, c: Row, below: Row) -> tuple[Row, Row]:
        return [squash(r.sum(0, j, x, h)) for j in range(UNITS)], c

    return step


def lstm(r: Reference, t: int, x: Row, h: Row, c: Row, below: Row) -> tuple[Row, Row]:
    cells, outputs = [], []
    for j in range(UNITS):
        i, f, o = (sigmoid(r.sum(gate, j, x, h)) for gate in (0, 1, 3))
        cells.append(f * c[j] + i * math.tanh(r.sum(2, j, x, h)))
        outputs.append(o * math.tanh(cells[j]))
    return outputs, cells


def peephole_lstm(r: Reference, t: int, x: Row, h: Row, c: Row, below: Row) -> tuple[Row, Row]:
    cells, outputs = [], []
    for j in range(UNITS):
        i = sigmoid(r.sum(0, j, x, h) + r.peephole(0, j) * c[j])
        f = sigmoid(r.sum(1, j, x, h) + r.peephole(1, j) * c[j])
        cell = f * c[j] + i * math.tanh(r.sum(2, j, x, h))
        if below:
            d = sigmoid(r.sum(4, j, x, h) + r.peephole(3, j) * c[j] + r.peephole(4, j) * below[j])
            cell += d * below[j]
        o = sigmoid(r.sum(3, j, x, h) + r.peephole(2, j) * cell)
        cells.append(cell)
        outputs.append(o * math.tanh(cell))
    return outputs, cells


def coupled_lstm(r: Reference, t: int, x: Row, h: Row, c: Row, below: Row) -> tuple[Row, Row]:
    cells, outputs = [], []
    for j in range(UNITS):
        f, o = sigmoid(r.sum(0, j, x, h)), sigmoid(r.sum(2, j, x, h))
        cells.append(f * c[j] + (1 - f) * math.tanh(r.sum(1, j, x, h)))
        outputs.append(o * math.tanh(cells[j]))
    return outputs, cells


def gru(r: Reference, t: int, x: Row, h: Row, c: Row, below: Row) -> tuple[Row, Row]:
    reset = [sigmoid(r.sum(0, j, x, h)) * h[j] for j in range(UNITS)]
    z = [sigmoid(r.sum(1, j, x, h)) for j in range(UNITS)]
    return [z[j] * h[j] + (1 - z[j]) * math.tanh(r.sum(2, j, x, reset)) for j in range(UNITS)], c


def gru_reset_after(r: Reference, t: int, x: Row, h: Row, c: Row, below: Row) -> tuple[Row, Row]:
    outputs = []
    by_inputs, by_units = r.biases
    for j in range(UNITS):
        row, z = 2 * UNITS + j, sigmoid(r.sum(1, j, x, h))
        reset = sigmoid(r.sum(0, j, x, h)) * (r.recurrent(row, h) + by_units[row])
        outputs.append(z * h[j] + (1 - z) * math.tanh(r.inputs(row, x, with_bias=False) + by_inputs[row] + reset))
    return outputs, c


def clockwork(r: Reference, t: int, x: Row, h: Row, c: Row, below: Row) -> tuple[Row, Row]:
    periods = [1, 1, 2, 4, 8, 16]  # five modules of six units
    outputs = []
    for j in range(UNITS):
        read = [h[k] if periods[k] >= periods[j] else 0.0 for k in range(UNITS)]
        outputs.append(math.tanh(r.sum(0, j, x, read)) if t % periods[j] == 0 else h[j])
    return outputs, c


STEPS: Mapping[str, Callable[..., tuple[Row, Row]]] = {
    "tanh": simple(math.tanh),
    "relu": simple(lambda x: max(x, 0.0)),
    "lstm": lstm,
    "peephole_lstm": peephole_lstm,
    "coupled_lstm": coupled_lstm,
    "gru": gru,
    "gru_reset_after": gru_reset_after,
    "clockwork": clockwork,
    "depth_gated_lstm": peephole_lstm,
    DEPTH: peephole_lstm,
}


def data(cell: str, steps: int, rows: int = 2, dtype: torch.dtype = torch.float64) -> list[Any]:
    """Return inputs, the initial state and the cells below."""
    generator = torch.Generator().manual_seed(steps)
    number = CELLS.get(cell, CELLS["depth_gated_lstm"]).num_states
    shapes = [(steps, rows, INPUTS), *[(1, rows, UNITS)] * number, *[(steps, rows, UNITS)] * (cell == DEPTH)]
    x, *rest = (torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in shapes)
    return [x, tuple(rest[:number]), rest[number] if cell == DEPTH else None]


@pytest.mark.parametrize("cell", ALL)
def test_equals_a_scalar_reference(cell: str) -> None:
    layer = make(cell, torch.float64)
    x, state, below = data(cell, 20)  # more steps than the longest period
    y, _, _ = layer.run(x, layer.start(state), below)
    reference = Reference(layer)
    for row in range(2):
        h, c = (part[0, row].tolist() for part in (state[0], state[-1]))
        for t in range(20):
            under = [] if below is None else below[t, row].tolist()
            h, c = STEPS[cell](reference, t, x[t, row].tolist(), h, c, under)
            assert y[t, row].tolist() == pytest.approx(h, abs=1e-12), (row, t)


def leaves(values: Sequence[Any]) -> list[Tensor]:
    x, state, below = values
    return [part.requires_grad_() for part in (x, *state, *([] if below is None else [below]))]


def run(cell: str, layer: Cell, inputs: Sequence[Tensor], parameters: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Return all that a layer puts out, as a function of inputs and parameters."""
    x, *rest = inputs
    below = rest.pop() if cell == DEPTH else None

    def outputs(layer: Cell) -> tuple[Tensor, ...]:
        y, state, above = layer.run(x, layer.start(tuple(rest)), below)
        return (y, *state[: layer.num_states], *([] if above is None else [above]))

    names = [name for name, _ in layer.named_parameters()]
    wrapped = _Wrapped(layer, outputs)
    values = {f"layer.{name}": value for name, value in zip(names, parameters, strict=True)}
    result: tuple[Tensor, ...] = torch.func.functional_call(wrapped, values, ())
    return result


class _Wrapped(nn.Module):
    def __init__(self, layer: Cell, call: Callable[[Cell], tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.layer, self.call = layer, call

    def forward(self) -> tuple[Tensor, ...]:
        return self.call(self.layer)


@pytest.mark.parametrize("cell", ALL)
def test_gradients_equal_numerical_ones(cell: str) -> None:
    layer = make(cell, torch.float64)
    inputs = leaves(data(cell, 3))
    parameters = [parameter.detach().clone().requires_grad_() for parameter in layer.parameters()]

    def call(*values: Tensor) -> tuple[Tensor, ...]:
        return run(cell, layer, values[: len(inputs)], values[len(inputs) :])

    assert torch.autograd.gradcheck(call, [*inputs, *parameters])


def gradients(cell: str, dtype: torch.dtype, steps: int) -> list[Tensor]:
    """Return what a layer puts out, and the gradients of a weighted sum of it."""
    layer, inputs = make(cell, dtype), leaves(data(cell, steps, 3, dtype))
    outputs = run(cell, layer, inputs, list(layer.parameters()))
    generator = torch.Generator().manual_seed(1)
    weights = [torch.randn(y.shape, generator=generator, dtype=torch.float64).to(dtype) for y in outputs]
    total = torch.stack([(y * w).sum() for y, w in zip(outputs, weights, strict=True)]).sum()
    return [y.detach() for y in outputs] + list(torch.autograd.grad(total, [*inputs, *layer.parameters()]))


@pytest.mark.parametrize("steps", [2, 12])  # products by weights as they are, and rearranged
@pytest.mark.parametrize("cell", ALL)
def test_compiled_kernels_equal_torch_operations(cell: str, steps: int) -> None:
    """Float32 runs in kernels of ours, float64 in torch's operations."""
    for ours, theirs in zip(gradients(cell, torch.float32, steps), gradients(cell, torch.float64, steps), strict=True):
        torch.testing.assert_close(ours, theirs.float(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cell", ALL)
def test_without_one_dnn_the_same(cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = gradients(cell, torch.float32, 12)
    monkeypatch.setattr(_products, "_HAS_OPERATIONS", False)
    monkeypatch.setattr(_products, "is_recorded", lambda: True)
    torch.testing.assert_close(gradients(cell, torch.float32, 12), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cell", ["peephole_lstm", "coupled_lstm", "depth_gated_lstm", DEPTH, "gru"])
def test_two_directions_at_once_equal_each_alone(cell: str) -> None:
    """That is how a GPU runs them."""
    layers = [make(cell, torch.float64), make(cell, torch.float64)]
    with torch.no_grad():
        for parameter in layers[1].parameters():
            parameter.add_(0.1)
    inputs, others = [data(cell, 5 + n)[0][:5] for n in (0, 1)], [data(cell, 5 + n)[2] for n in (0, 1)]
    others = [None if part is None else part[:5] for part in others]
    results = []
    for outputs in (
        layers[0].run_directions(layers, inputs, others),
        [layer.run(x, None, below)[::2] for layer, x, below in zip(layers, inputs, others, strict=True)],
    ):
        parts = [part for pair in outputs for part in pair if part is not None]
        total = torch.stack([part.square().sum() for part in parts]).sum()
        parameters = [parameter for layer in layers for parameter in layer.parameters()]
        results.append([*parts, *torch.autograd.grad(total, parameters)])
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("cell", list(CELLS))
def test_what_is_not_a_number_is_not_hidden(cell: str) -> None:
    layer, (x, state, _) = make(cell), data(cell, 12, dtype=torch.float32)
    x[3, 0] = math.nan
    y, _ = layer(x, layer.start(state))
    assert y[3:, 0].isnan().any(-1).all() and not y[:3].isnan().any() and not y[:, 1].isnan().any()


@pytest.mark.parametrize("cell", list(CELLS))
def test_extreme_inputs(cell: str) -> None:
    layer, (x, state, _) = make(cell), data(cell, 12, dtype=torch.float32)
    y, _ = layer(1e5 * x, layer.start(state))
    assert y.isfinite().all()
    expected, _ = layer.double()(1e5 * x.double(), layer.start(tuple(part.double() for part in state)))
    torch.testing.assert_close(y, expected.float(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("cell", ["peephole_lstm", "coupled_lstm", "gru", "clockwork", "depth_gated_lstm", "tanh"])
def test_a_graph_is_used_twice_and_no_frames_are_none(cell: str) -> None:
    layer, (x, state, _) = make(cell), data(cell, 12, dtype=torch.float32)
    y, _ = layer(x.requires_grad_(), layer.start(state))
    first, second = (torch.autograd.grad(y.sum(), x, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)
    nothing, after = layer(x[:0], layer.start(state))
    assert nothing.shape == (0, 2, UNITS) and all(torch.equal(a, b) for a, b in zip(after, state, strict=False))


@pytest.mark.usefixtures("bfloat16")
@pytest.mark.parametrize("cell", list(CELLS))
def test_bfloat16_autocast_is_close(cell: str) -> None:
    torch.manual_seed(0)
    rnn = RNN(20, 32, 2, cell=cell)
    x, lengths = torch.randn(4, 30, 20), torch.tensor([30, 7, 18, 1])
    exact = rnn(x, lengths)
    exact.square().mean().backward()
    expected = [parameter.grad.clone() for parameter in rnn.parameters() if parameter.grad is not None]
    rnn.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        rough = rnn(x, lengths)
    assert (exact - rough.float()).abs().max() < 0.03 * exact.abs().max().clamp(min=1)
    rough.float().square().mean().backward()
    for gradient, parameter in zip(expected, rnn.parameters(), strict=True):
        assert parameter.grad is not None and parameter.grad.dtype == torch.float32
        assert (gradient - parameter.grad).norm() < 0.06 * gradient.norm()
