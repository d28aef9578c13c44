"""Cells that are torch's own layers: oneDNN's on a CPU, cuDNN's on a GPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asr.modules.cells.base import Cell, CellState
from asr.modules.cells.lstm import Gates, lstm_activations


class LSTM(nn.LSTM, Cell):
    """Long short-term memory without peepholes (Hochreiter & Schmidhuber 1997; with the forget gate of Gers 2000).

    The state is (h, c).
    """

    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_ih_l0: Tensor
    bias_hh_l0: Tensor
    num_states = 2
    forget_gate = 1

    @torch.no_grad()
    def activations(self, x: Tensor, below: Tensor | None = None) -> dict[str, Tensor]:
        """See `Cell.activations`."""
        sums = F.linear(x, self.weight_ih_l0, self.bias_ih_l0 + self.bias_hh_l0)
        return lstm_activations(Gates(), sums, self.weight_hh_l0)


class GRUResetAfter(nn.GRU, Cell):
    """Gated recurrent unit whose reset gate is applied after the recurrent product, torch's and cuDNN's; state (h,).

    With r * (U h) in place of U (r * h), there is one recurrent product for all gates. The cell `asr.modules.cells.gru`
    is that of the paper. Models whose configuration has no ``init`` meant this one by ``gru``.
    """

    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_ih_l0: Tensor
    bias_hh_l0: Tensor

    def forward(self, x: Tensor, state: CellState | None = None) -> tuple[Tensor, CellState]:  # type: ignore[override]
        """See `Cell`."""
        y, h = super().forward(x, None if state is None else state[0])
        return y, (h,)

    @torch.no_grad()
    def activations(self, x: Tensor, below: Tensor | None = None) -> dict[str, Tensor]:
        """See `Cell.activations`."""
        y, _ = self(x)
        before = torch.cat([torch.zeros_like(y[:1]), y])[:-1]
        r, z, n = F.linear(x, self.weight_ih_l0, self.bias_ih_l0).chunk(3, -1)
        by_r, by_z, by_n = F.linear(before, self.weight_hh_l0, self.bias_hh_l0).chunk(3, -1)
        r, z = (r + by_r).sigmoid(), (z + by_z).sigmoid()
        return {"reset gate": r, "update gate": z, "candidate": (n + r * by_n).tanh(), "output": y}
