"""Recurrent cells: one layer in one direction, by name.

A new cell is one class here and one line in `CELLS`. Encoders (`asr.modules.rnn.RNN`, option ``encoder.cell``) and
label RNNs (`asr.modules.label_rnn.LabelRNN`, option ``label_rnn.cell``) find it there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from asr.errors import InputError
from asr.modules.cells.base import Cell, CellState
from asr.modules.cells.gru import GRU
from asr.modules.cells.initialization import initialize
from asr.modules.cells.lstm import CoupledLSTM, DepthGatedLSTM, PeepholeLSTM
from asr.modules.cells.simple import ClockworkRNN, ReluRNN, TanhRNN
from asr.modules.cells.torch_cells import LSTM, GRUResetAfter
from asr.utils.options import check_choice

__all__ = ["CELLS", "Cell", "CellOptions", "CellState", "cells_of", "check_sizes", "find_cell", "make_layers"]

MAX_LAYERS = 1000  # making more takes minutes, and no network has that many layers
MAX_SIZE = 2**31  # of a layer: torch counts elements in 64 bits, and raises errors of several types above


CELLS: dict[str, type[Cell]] = {
    "tanh": TanhRNN,
    "relu": ReluRNN,
    "lstm": LSTM,
    "peephole_lstm": PeepholeLSTM,
    "coupled_lstm": CoupledLSTM,
    "gru": GRU,
    "gru_reset_after": GRUResetAfter,
    "clockwork": ClockworkRNN,
    "depth_gated_lstm": DepthGatedLSTM,
}


def find_cell(name: str) -> type[Cell]:
    """Return the cell class of that name; InputError if there is none."""
    check_choice("cell", name, CELLS)
    return CELLS[name]


@dataclass(frozen=True)
class CellOptions:
    """How the layers of a stack are made.

    Attributes:
        init: first weights, one of `asr.modules.cells.initialization.INITIALIZATIONS`.
        forget_bias: first bias of the forget gate; None: as ``init`` says.
        periods: of the modules of a clockwork RNN; None: 1, 2, 4, 8, 16.
    """

    init: str = "default"
    forget_bias: float | None = None
    periods: Sequence[int] | None = None


def make_layers(
    cell: str, input_sizes: Iterable[int], hidden_size: int, options: CellOptions | None = None
) -> nn.ModuleList:
    """Build one layer per input size, the lowest first.

    Args:
        cell: name in `CELLS`.
        input_sizes: elements of a frame that each layer reads.
        hidden_size: elements of a frame that each layer puts out.
        options: first weights and the like; None: the defaults.

    Raises:
        InputError: no cell has that name, or it does not have an option that is given.
    """
    make = find_cell(cell)
    options = options or CellOptions()
    if options.periods is not None and not issubclass(make, ClockworkRNN):
        raise InputError(f"periods={list(options.periods)}: only the cell clockwork has periods, leave them null")
    layers = nn.ModuleList()
    for number, size in enumerate(input_sizes):
        arguments: dict[str, Any] = {"depth": number > 0} if make.reads_below else {}
        if options.periods is not None:
            arguments["periods"] = options.periods
        layer = make(size, hidden_size, **arguments)
        initialize(layer, options.init, options.forget_bias)
        layers.append(layer)
    return layers


def cells_of(layers: nn.ModuleList) -> list[Cell]:
    """Return what `make_layers` made as a list of cells, the lowest first."""
    return [layer for layer in layers if isinstance(layer, Cell)]


def check_sizes(**sizes: object) -> None:
    """Raise InputError naming the sizes that are not positive integers or above `MAX_SIZE`, `MAX_LAYERS` for layers."""
    if wrong := [f"{name}={size!r}" for name, size in sizes.items() if not isinstance(size, int) or size < 1]:
        raise InputError(f"{', '.join(wrong)}: positive integers are expected")
    if wrong := [f"{name}={size}" for name, size in sizes.items() if size > MAX_SIZE]:  # type: ignore[operator]
        raise InputError(f"{', '.join(wrong)}: the network is too large, at most {MAX_SIZE} are expected")
    if (layers := sizes.get("num_layers")) and layers > MAX_LAYERS:  # type: ignore[operator]
        raise InputError(f"num_layers={layers}: at most {MAX_LAYERS} are expected")
