"""Recurrent layers as operators of ONNX, for export."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from asr.errors import InputError
from asr.modules.cells import CELLS
from asr.modules.rnn import MERGES, RNN

# Of each cell: ONNX's operator, the places of its gates among the cell's, and further attributes. -1 - n stands for
# gate n with the opposite sign, whose sigmoid is 1 minus that gate.
OPERATORS: dict[str, tuple[str, tuple[int, ...], dict[str, Any]]] = {
    "tanh": ("RNN", (0,), {}),
    "relu": ("RNN", (0,), {"activations": "Relu"}),
    "lstm": ("LSTM", (0, 3, 1, 2), {}),  # here: input, forget, cell, output; ONNX: input, output, forget, cell
    "peephole_lstm": ("LSTM", (0, 3, 1, 2), {}),
    "coupled_lstm": ("LSTM", (-1, 2, 0, 1), {}),
    "gru": ("GRU", (1, 0, 2), {"linear_before_reset": 0}),  # here: reset, update, new; ONNX: update, reset, new
    "gru_reset_after": ("GRU", (1, 0, 2), {"linear_before_reset": 1}),
}
NAMES = {cell: name for name, cell in CELLS.items()}


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
            cells = [forwards, rnn.backwards[number]] if len(rnn.backwards) else [forwards]
            self.layers.append(_Layer(cells, rnn.merge))
        self.norms = rnn.norms
        self.residual = rnn.residual

    def forward(self, x: Tensor, lengths: Tensor, between: Callable[[int, Tensor], Tensor] | None = None) -> Tensor:
        """Run all layers; see `RNN.forward`."""
        x = x.transpose(0, 1)  # (T, N, F)
        lengths = lengths.int()
        for number, layer in enumerate(self.layers):
            if number and between is not None:
                x = between(number, x)
            y = layer(x, lengths)
            if self.norms:
                y = self.norms[number](y)
            x = x + y if self.residual and number >= self.residual else y
        if self.norms:  # zeros have become others
            x = x * (torch.arange(x.shape[0], device=x.device)[:, None] < lengths)[..., None]
        return x.transpose(0, 1)


class _Layer(nn.Module):
    """One layer in one or two directions: (T, N, F) to (T, N, H), or (T, N, 2H) where two are concatenated."""

    weight_ih: Tensor
    weight_hh: Tensor
    bias: Tensor
    peephole: Tensor | None

    def __init__(self, cells: Sequence[Any], merge: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        name = NAMES.get(type(cells[0]), type(cells[0]).__name__)
        if name not in OPERATORS:
            raise InputError(f"cell {name} has no operator in ONNX, as {', '.join(OPERATORS)} have")
        self.operator, gates, attributes = OPERATORS[name]
        self.hidden_size: int = cells[0].hidden_size
        self.directions = len(cells)
        self.merge = merge
        direction = "bidirectional" if self.directions == 2 else "forward"
        if "activations" in attributes:
            attributes = {"activations": [attributes["activations"]] * self.directions}
        self.attributes: dict[str, Any] = {"hidden_size": self.hidden_size, "direction": direction, **attributes}
        weights = [_weights(cell, gates) for cell in cells]
        for number, buffer in enumerate(("weight_ih", "weight_hh", "bias")):
            self.register_buffer(buffer, torch.stack([values[number] for values in weights]))
        peepholes = None
        if name == "peephole_lstm":  # here: input, forget, output; ONNX: input, output, forget
            peepholes = torch.stack([cell.peephole.detach()[[0, 2, 1]].flatten() for cell in cells])
        self.register_buffer("peephole", peepholes)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        frames, batch, _ = x.shape
        inputs = [x, self.weight_ih, self.weight_hh, self.bias, lengths]
        if self.peephole is not None:
            inputs += [None, None, self.peephole]  # type: ignore[list-item]
        y = torch.onnx.ops.symbolic(
            self.operator,
            inputs,
            attrs=self.attributes,
            dtype=torch.float32,
            shape=(frames, self.directions, batch, self.hidden_size),
            version=18,
        )
        if self.directions == 2 and self.merge is not MERGES["concat"]:
            return self.merge(y[:, 0], y[:, 1])
        return y.transpose(1, 2).reshape(frames, batch, self.directions * self.hidden_size)


def _weights(cell: nn.Module, gates: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Return input weights, recurrent weights and both biases with the gates in ONNX's order."""
    values = {name.removesuffix("_l0"): value.detach() for name, value in cell.named_parameters()}
    if "bias" in values:
        values |= {"bias_ih": values["bias"], "bias_hh": torch.zeros_like(values["bias"])}

    def reordered(name: str) -> Tensor:
        parts = values[name].chunk(len(set(map(_place, gates))))
        return torch.cat([parts[_place(gate)] * (1 if gate >= 0 else -1) for gate in gates])

    return reordered("weight_ih"), reordered("weight_hh"), torch.cat([reordered("bias_ih"), reordered("bias_hh")])


def _place(gate: int) -> int:
    """Return the place of a gate among the cell's; see `OPERATORS`."""
    return gate if gate >= 0 else -1 - gate
