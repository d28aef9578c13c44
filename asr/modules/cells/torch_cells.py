"""Cells that are torch's own layers: oneDNN's on a CPU, cuDNN's on a GPU."""

from __future__ import annotations

from torch import Tensor, nn

from asr.modules.cells.base import Cell, CellState


class LSTM(nn.LSTM, Cell):
    """Long short-term memory without peepholes (Hochreiter & Schmidhuber 1997; with the forget gate of Gers 2000).

    The state is (h, c).
    """

    num_states = 2
    forget_gate = 1


class GRUResetAfter(nn.GRU, Cell):
    """Gated recurrent unit whose reset gate is applied after the recurrent product, torch's and cuDNN's; state (h,).

    With r * (U h) in place of U (r * h), there is one recurrent product for all gates. The cell `asr.modules.cells.gru`
    is that of the paper. Models whose configuration has no ``init`` meant this one by ``gru``.
    """

    def forward(self, x: Tensor, state: CellState | None = None) -> tuple[Tensor, CellState]:  # type: ignore[override]
        """See `Cell`."""
        y, h = super().forward(x, None if state is None else state[0])
        return y, (h,)
