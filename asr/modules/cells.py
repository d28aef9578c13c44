"""Recurrent cells: one layer in one direction, by name.

A new cell is one class here and one line in `CELLS`. Encoders (`asr.modules.rnn.RNN`, option ``encoder.cell``) and
label RNNs (`asr.modules.label_rnn.LabelRNN`, option ``label_rnn.cell``) find it there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from torch import Tensor, nn

from asr.errors import InputError
from asr.utils.options import check_choice

CellState: TypeAlias = "tuple[Tensor, ...]"

MAX_LAYERS = 1000  # making more takes minutes, and no network has that many layers
MAX_SIZE = 2**31  # of a layer: torch counts elements in 64 bits, and raises errors of several types above


class Cell(nn.Module):
    """Base of all cells: a recurrent layer that reads frames in one direction.

    A subclass is built from ``(input_size, hidden_size)``. Its ``forward(x, state)`` maps inputs ``(T, N, input_size)``
    and the state before the first frame to the outputs ``(T, N, hidden_size)`` and the state after the last frame. A
    state is a tuple of ``num_states`` tensors ``(1, N, hidden_size)``; without one (None) the cell starts from zeros.

    Attributes:
        num_states: number of tensors in a state.
    """

    num_states: int = 1


class LSTM(nn.LSTM, Cell):
    """Long short-term memory without peepholes (Hochreiter & Schmidhuber 1997); the state is (h, c)."""

    num_states = 2


class GRU(nn.GRU, Cell):
    """Gated recurrent unit (Cho et al. 2014, arXiv 1406.1078); the state is (h,)."""

    def forward(self, x: Tensor, state: CellState | None = None) -> tuple[Tensor, CellState]:  # type: ignore[override]
        """See `Cell`."""
        y, h = super().forward(x, None if state is None else state[0])
        return y, (h,)


class TanhRNN(nn.RNN, Cell):
    """Simple recurrent network with tanh units (Elman 1990); the state is (h,)."""

    def forward(self, x: Tensor, state: CellState | None = None) -> tuple[Tensor, CellState]:  # type: ignore[override]
        """See `Cell`."""
        y, h = super().forward(x, None if state is None else state[0])
        return y, (h,)


CELLS: dict[str, type[Cell]] = {"lstm": LSTM, "gru": GRU, "tanh": TanhRNN}


def find_cell(name: str) -> type[Cell]:
    """Return the cell class of that name; InputError if there is none."""
    check_choice("cell", name, CELLS)
    return CELLS[name]


def make_layers(cell: str, input_sizes: Iterable[int], hidden_size: int) -> nn.ModuleList:
    """Build one layer per input size, the lowest first.

    Args:
        cell: name in `CELLS`.
        input_sizes: elements of a frame that each layer reads.
        hidden_size: elements of a frame that each layer puts out.

    Raises:
        InputError: no cell has that name.
    """
    make = find_cell(cell)
    return nn.ModuleList(make(size, hidden_size) for size in input_sizes)


def check_sizes(**sizes: object) -> None:
    """Raise InputError naming the sizes that are not positive integers or above `MAX_SIZE`, `MAX_LAYERS` for layers."""
    if wrong := [f"{name}={size!r}" for name, size in sizes.items() if not isinstance(size, int) or size < 1]:
        raise InputError(f"{', '.join(wrong)}: positive integers are expected")
    if wrong := [f"{name}={size}" for name, size in sizes.items() if size > MAX_SIZE]:  # type: ignore[operator]
        raise InputError(f"{', '.join(wrong)}: the network is too large, at most {MAX_SIZE} are expected")
    if (layers := sizes.get("num_layers")) and layers > MAX_LAYERS:  # type: ignore[operator]
        raise InputError(f"num_layers={layers}: at most {MAX_LAYERS} are expected")
