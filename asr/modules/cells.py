"""Recurrent cells by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

CELLS: dict[str, tuple[Callable[..., nn.RNNBase], dict[str, Any]]] = {
    "lstm": (nn.LSTM, {}),
    "gru": (nn.GRU, {}),
    "tanh": (nn.RNN, {"nonlinearity": "tanh"}),
}
