"""The registry of recurrent cells: whatever it names works in encoders and label RNNs alike."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from asr.modules.cells import CELLS, Cell, CellState
from asr.modules.encoder import Encoder
from asr.modules.label_rnn import LabelRNN


class LeakyUnits(Cell):
    """A cell with three state tensors, of which it uses the last: y_t = (y_{t-1} + tanh(W x_t)) / 2."""

    num_states = 3

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
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
    layer, x = CELLS[cell](5, 4), torch.randn(6, 2, 5)
    whole, last = layer(x)
    assert whole.shape == (6, 2, 4)
    assert [part.shape for part in last] == [(1, 2, 4)] * CELLS[cell].num_states
    first, state = layer(x[:4], tuple(torch.zeros(1, 2, 4) for _ in last))
    second, end = layer(x[4:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(end, last)


@pytest.mark.parametrize("cell", [*CELLS, "leaky"])
def test_in_the_encoder_a_batch_gives_what_singles_give(cell: str) -> None:
    torch.manual_seed(0)
    encoder = Encoder(5, 4, 2, cell=cell)
    x, lengths = torch.randn(2, 7, 5), torch.tensor([7, 3])
    y, _ = encoder(x, lengths)
    single, _ = encoder(x[1:, :3], torch.tensor([3]))
    torch.testing.assert_close(y[1:, :3], single)
    y.sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())


@pytest.mark.parametrize("cell", [*CELLS, "leaky"])
def test_in_the_label_rnn_steps_give_what_the_whole_gives(cell: str) -> None:
    torch.manual_seed(0)
    network = LabelRNN(7, embedding_size=3, hidden_size=4, num_layers=2, cell=cell)
    hidden = network.hidden(torch.randn(2, network.state_size))
    labels = torch.randint(7, (2, 5))
    state = network.start(2, hidden=hidden)
    whole, end = network(labels, state)
    for column in range(5):
        log_probs, state = network.step(state, labels[:, column])
        torch.testing.assert_close(log_probs, whole[:, column])
    torch.testing.assert_close(state.layers, end.layers)
    both = network.join([network.select(state, torch.tensor([row])) for row in (0, 1)])
    torch.testing.assert_close(both.layers, end.layers)
