"""Whatever takes a cell by name: encoders and label RNNs, with all cells and a new one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from asr.modules.cells import CELLS, Cell, CellState
from asr.modules.label_rnn import LabelRNN
from asr.modules.rnn import MERGES, RNN


class LeakyUnits(Cell):
    """A cell with three state tensors, of which it uses the last: y_t = (y_{t-1} + tanh(W x_t)) / 2."""

    num_states = 3

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.input = nn.Linear(input_size, hidden_size)

    def forward(self, x: Tensor, state: CellState | None = None) -> tuple[Tensor, CellState]:
        x = self.input(x).tanh()
        y = x.new_zeros(x.shape[1:]) if state is None else state[2][0]
        outputs = []
        for frame in x:
            y = (y + frame) / 2
            outputs.append(y)
        zeros = torch.zeros_like(y)[None]
        return torch.stack(outputs), (zeros, zeros, y[None])


@pytest.fixture(autouse=True)
def _register_a_new_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CELLS, "leaky", LeakyUnits)


@pytest.mark.parametrize("cell", [*CELLS, "leaky"])
def test_a_layer_continues_from_its_state(cell: str) -> None:
    torch.manual_seed(0)
    layer, x = CELLS[cell](5, 6), torch.randn(9, 2, 5)
    whole, last = layer(x)
    assert whole.shape == (9, 2, 6)
    assert [part.shape for part in last[: layer.num_states]] == [(1, 2, 6)] * CELLS[cell].num_states
    first, state = layer(x[:5], layer.start((torch.zeros(1, 2, 6),) * layer.num_states))
    second, end = layer(x[5:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(end, last)


def stack_of_singles(rnn: RNN, x: Tensor) -> Tensor:
    """Return the outputs of a stack for one sequence, (T, 1, F): each direction by itself, the layers one by one."""
    below: list[Tensor | None] = [None, None]
    for number, forwards in enumerate(rnn.forwards):
        y, _, below[0] = forwards.run(x, None, below[0])  # type: ignore[operator]
        if len(rnn.backwards):
            z, _, below[1] = rnn.backwards[number].run(x.flip(0), None, below[1])  # type: ignore[operator]
            y = rnn.merge(y, z.flip(0))
        y = rnn.norms[number](y) if len(rnn.norms) else y
        x = x + y if rnn.residual and number >= rnn.residual else y
    return x


@settings(deadline=None, max_examples=60)
@given(
    cell=st.sampled_from([*CELLS, "leaky"]),
    layers=st.integers(1, 3),
    bidirectional=st.booleans(),
    merge=st.sampled_from(list(MERGES)),
    residual=st.sampled_from([False, True, 2]),
    layer_norm=st.booleans(),
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=4),
    padding=st.integers(0, 3),
)
def test_a_batch_gives_what_singles_give(lengths: list[int], padding: int, layers: int, **options: Any) -> None:
    torch.manual_seed(sum(lengths))
    CELLS["leaky"] = LeakyUnits
    rnn = RNN(5, 6, layers, **options)
    x = torch.randn(len(lengths), max(lengths) + padding, 5)
    y = rnn(x, torch.tensor(lengths))
    assert y.shape == (*x.shape[:2], rnn.output_size)
    weights = torch.randn_like(y)
    expected = []
    for row, length in enumerate(lengths):
        single = stack_of_singles(rnn, x[row, :length, None])[:, 0]
        torch.testing.assert_close(y[row, :length], single, rtol=1e-4, atol=1e-5)
        assert not y[row, length:].any()
        expected.append((single * weights[row, :length]).sum())
    parameters = list(rnn.parameters())
    ours = torch.autograd.grad((y * weights).sum(), parameters)
    torch.testing.assert_close(ours, torch.autograd.grad(torch.stack(expected).sum(), parameters), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("cell", [*CELLS, "leaky"])
def test_in_the_label_rnn_steps_give_what_the_whole_gives(cell: str) -> None:
    torch.manual_seed(0)
    network = LabelRNN(7, embedding_size=3, hidden_size=6, num_layers=2, cell=cell, residual=True, layer_norm=True)
    hidden = network.hidden(torch.randn(2, network.state_size))
    labels = torch.randint(7, (2, 5))
    state = network.start(2, hidden=hidden)
    whole, end = network(labels, state)
    whole.sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    for column in range(5):
        log_probs, state = network.step(state, labels[:, column])
        torch.testing.assert_close(log_probs, whole[:, column])
    torch.testing.assert_close(state.layers, end.layers)
    both = network.join([network.select(state, torch.tensor([row])) for row in (0, 1)])
    torch.testing.assert_close(both.layers, end.layers)
    # a row that has read fewer labels than its neighbor goes on as if it were alone
    late = network.join([state, network.start(1)])
    log_probs, _ = network.step(late, torch.tensor([1, 2, 3]))
    torch.testing.assert_close(log_probs[2:], network.step(network.start(1), torch.tensor([3]))[0])
    torch.testing.assert_close(log_probs[:2], network.step(state, torch.tensor([1, 2]))[0])
