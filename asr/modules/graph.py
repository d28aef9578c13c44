"""Recurrent layers as operators of ONNX, for export."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from asr.errors import InputError
from asr.modules.cells import GRU, LSTM, TanhRNN
from asr.modules.rnn import RNN

# Of each cell: ONNX's operator, the order of torch's gates in it, and its further attributes.
OPERATORS: dict[type, tuple[str, tuple[int, ...], dict[str, Any]]] = {
    LSTM: ("LSTM", (0, 3, 1, 2), {}),  # torch: input, forget, cell, output; ONNX: input, output, forget, cell
    GRU: ("GRU", (1, 0, 2), {"linear_before_reset": 1}),  # torch: reset, update, new; ONNX: update, reset, new
    TanhRNN: ("RNN", (0,), {}),
}


class RNNGraph(nn.Module):
    """`RNN` in evaluation mode, with one operator of ONNX for both directions of a layer.

    The operators read sequences of different length: the backward direction begins at each one's own end, and outputs
    beyond it are zero. Only an exported graph can be run: torch has no such operators, and returns zeros.

    Args:
        rnn: the layers.

    Raises:
        InputError: a cell without an operator.
    """

    def __init__(self, rnn: RNN) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for number, forwards in enumerate(rnn.forwards):
            self.layers.append(_Layer([forwards, rnn.backwards[number]] if len(rnn.backwards) else [forwards]))

    def forward(self, x: Tensor, lengths: Tensor, between: Callable[[int, Tensor], Tensor] | None = None) -> Tensor:
        """Run all layers; see `RNN.forward`."""
        x = x.transpose(0, 1)  # (T, N, F)
        lengths = lengths.int()
        for number, layer in enumerate(self.layers):
            if number and between is not None:
                x = between(number, x)
            x = layer(x, lengths)
        return x.transpose(0, 1)


class _Layer(nn.Module):
    """One layer in one or two directions: (T, N, F) to (T, N, H * directions)."""

    weight_ih: Tensor
    weight_hh: Tensor
    bias: Tensor

    def __init__(self, cells: Sequence[Any]) -> None:
        super().__init__()
        if type(cells[0]) not in OPERATORS:
            raise InputError(f"cell {type(cells[0]).__name__} has no operator in ONNX")
        self.operator, gates, attributes = OPERATORS[type(cells[0])]
        self.hidden_size: int = cells[0].hidden_size
        self.directions = len(cells)
        direction = "bidirectional" if self.directions == 2 else "forward"
        self.attributes: dict[str, Any] = {"hidden_size": self.hidden_size, "direction": direction, **attributes}
        self.register_buffer("weight_ih", torch.stack([_reordered(cell.weight_ih_l0, gates) for cell in cells]))
        self.register_buffer("weight_hh", torch.stack([_reordered(cell.weight_hh_l0, gates) for cell in cells]))
        biases = [torch.cat([_reordered(b, gates) for b in (cell.bias_ih_l0, cell.bias_hh_l0)]) for cell in cells]
        self.register_buffer("bias", torch.stack(biases))

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        frames, batch, _ = x.shape
        y = torch.onnx.ops.symbolic(
            self.operator,
            (x, self.weight_ih, self.weight_hh, self.bias, lengths),
            attrs=self.attributes,
            dtype=torch.float32,
            shape=(frames, self.directions, batch, self.hidden_size),
            version=18,
        )
        return y.transpose(1, 2).reshape(frames, batch, self.directions * self.hidden_size)


def _reordered(tensor: Tensor, gates: Sequence[int]) -> Tensor:
    """Return the rows of a weight or a bias with the gates in another order."""
    parts = tensor.detach().chunk(len(gates))
    return torch.cat([parts[gate] for gate in gates])
