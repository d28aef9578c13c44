"""What happens inside recurrent layers: gates, and the gradient at each step."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from asr.modules.cells import CELLS, Cell
from asr.modules.cells.watch import layer_activations, step_gradients
from asr.modules.label_rnn import LabelRNN
from asr.modules.rnn import RNN

INPUTS, UNITS, STEPS = 3, 4, 5
DEPTH = "depth_gated_lstm above another layer"


def make(cell: str) -> tuple[Cell, Tensor, Tensor | None]:
    """Return a layer in float64, its inputs and the cells below."""
    torch.manual_seed(0)
    layer = CELLS["depth_gated_lstm"](INPUTS, UNITS, depth=True) if cell == DEPTH else CELLS[cell](INPUTS, UNITS)
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -0.7, 0.7)
    below = torch.randn(STEPS, 2, UNITS, dtype=torch.float64) if cell == DEPTH else None
    return layer.double(), torch.randn(STEPS, 2, INPUTS, dtype=torch.float64), below


def before(values: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(values[:1]), values[:-1]])


@pytest.mark.parametrize("cell", [*CELLS, DEPTH])
def test_gates_make_the_output(cell: str) -> None:
    layer, x, below = make(cell)
    found = layer.activations(x, below)
    torch.testing.assert_close(found["output"], layer.run(x, None, below)[0])
    if "output gate" in found:
        c = found["forget gate"] * before(found["cell"]) + found["input gate"] * found["candidate"]
        if below is not None:
            c = c + found["depth gate"] * below
        torch.testing.assert_close(found["cell"], c)
        torch.testing.assert_close(found["output"], found["output gate"] * c.tanh())
    elif "update gate" in found:
        z = found["update gate"]
        torch.testing.assert_close(found["output"], z * before(found["output"]) + (1 - z) * found["candidate"])
    else:
        assert cell in ("tanh", "relu", "clockwork")


@pytest.mark.parametrize("cell", list(CELLS))
def test_the_gradient_at_a_step_is_that_by_the_state_after_it(cell: str) -> None:
    layer, x, _ = make(cell)
    weights = torch.randn(STEPS, 2, UNITS, dtype=torch.float64)
    norms = step_gradients(layer, lambda: (layer.run(x)[0] * weights).sum())[""]
    for t in range(STEPS - 1):
        with torch.no_grad():
            _, state, _ = layer.run(x[: t + 1])
        h = state[0].requires_grad_()
        rest, _, _ = layer.run(x[t + 1 :], (h, *state[1:]))
        total = (h * weights[t]).sum() + (rest * weights[t + 1 :]).sum()
        torch.testing.assert_close(norms[t], torch.autograd.grad(total, h)[0][0].norm(dim=-1))


@pytest.mark.parametrize("cell", ["tanh", "lstm", "depth_gated_lstm"])
def test_layers_of_networks_run_as_they_do_alone(cell: str) -> None:
    torch.manual_seed(0)
    network = RNN(INPUTS, UNITS, 2, cell=cell)
    x, lengths = torch.randn(1, STEPS, INPUTS), torch.tensor([STEPS])
    expected = network(x, lengths).square().sum()
    losses = []

    def loss() -> Tensor:
        losses.append(network(x, lengths).square().sum())
        return losses[-1]

    norms = step_gradients(network, loss)
    torch.testing.assert_close(losses[0], expected)
    assert list(norms) == [f"{direction}.{layer}" for layer in (0, 1) for direction in ("forwards", "backwards")]
    assert all(values.shape == (STEPS, 1) and (values > 0).all() for values in norms.values())
    found = layer_activations(network, "backwards.1", loss)
    backwards = network(x, lengths)[0, :, UNITS:].flip(0)
    torch.testing.assert_close(found["output"][:, 0], backwards)
    assert "run" not in network.forwards[0].__dict__


def test_label_networks_are_watched_too() -> None:
    network = LabelRNN(7, embedding_size=3, hidden_size=UNITS, num_layers=2, cell="gru")
    labels = torch.tensor([[1, 2, 3]])
    norms = step_gradients(network, lambda: network(labels, network.start(1))[0][0, -1, 2])
    assert list(norms) == ["layers.0", "layers.1"] and all(values.shape == (3, 1) for values in norms.values())
