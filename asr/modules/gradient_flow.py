"""How far the gradient of a loss reaches back in time, for each recurrent cell (Bengio et al. 1994)."""

from __future__ import annotations

import torch
from torch import Tensor

from asr.errors import InputError
from asr.modules.cells import CELLS, CellOptions, check_sizes, find_cell
from asr.modules.cells.watch import step_gradients
from asr.modules.rnn import RNN
from asr.utils.options import check_choice

INPUT_SIZE, SEQUENCES = 32, 8
MAX_STEPS = 10_000


def gradient_flow(
    cell: str,
    steps: int,
    *,
    hidden_size: int = 64,
    num_layers: int = 1,
    init: str = "default",
    forget_bias: float | None = None,
    seed: int = 1,
) -> Tensor:
    """Compute the norm of ∂loss/∂h at each step of a new network whose loss is at the last step.

    The network reads Gaussian noise in one direction; the loss is a random weighted sum of its last output.

    Args:
        cell: name in `asr.modules.cells.CELLS`.
        steps: length T of the sequences.
        hidden_size: units of a layer.
        num_layers: layers L.
        init: first weights.
        forget_bias: first bias of the forget gate; left out where there is none.
        seed: of weights, inputs and loss.

    Returns:
        Norms (L, T), root mean square over `SEQUENCES` sequences.

    Raises:
        InputError: the cell is unknown or a size is not possible.
    """
    check_choice("cell", cell, CELLS)
    check_sizes(steps=steps, hidden_size=hidden_size, num_layers=num_layers)
    if steps > MAX_STEPS:
        raise InputError(f"steps={steps}: at most {MAX_STEPS} are expected")
    bias = forget_bias if find_cell(cell).forget_gate is not None else None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = RNN(
            INPUT_SIZE, hidden_size, num_layers, bidirectional=False, cell=cell, options=CellOptions(init, bias)
        )
        x, weights = torch.randn(SEQUENCES, steps, INPUT_SIZE), torch.randn(hidden_size)
    network, x, weights = network.double(), x.double(), weights.double()  # 1e-38 is soon reached
    lengths = torch.full((SEQUENCES,), steps)
    norms = step_gradients(network, lambda: (network(x, lengths)[:, -1] @ weights).sum())
    return torch.stack([values.square().mean(1).sqrt() for values in norms.values()])
