"""First weights of recurrent layers."""

from __future__ import annotations

import math

from torch import Tensor, nn

from asr.errors import InputError
from asr.modules.cells.base import Cell
from asr.utils.options import check_choice

INITIALIZATIONS = ("default", "uniform", "glorot", "orthogonal")
UNIFORM_RANGE = 0.1  # Graves, Mohamed & Hinton (2013)


def initialize(layer: Cell, init: str = "default", forget_bias: float | None = None) -> None:
    """Set the first weights of a recurrent layer.

    - ``default``: as the cell was built. Uniform in ±1/√hidden_size, as torch does; ``relu``: see `ReluRNN`.
    - ``uniform``: uniform in ±0.1, as in Graves, Mohamed & Hinton (2013).
    - ``glorot``: uniform, scaled by the numbers of inputs and units, for each gate (Glorot & Bengio 2010); biases and
      peepholes 0.
    - ``orthogonal``: likewise, but recurrent weights are a random orthogonal matrix for each gate (Saxe et al. 2014).

    Args:
        layer: to change.
        init: one of the above.
        forget_bias: bias of the forget gate, often 1 (Jozefowicz et al. 2015); None: as ``init`` says.

    Raises:
        InputError: ``init`` is unknown, or there is a forget bias but no forget gate, or it is not finite.
    """
    check_choice("init", init, INITIALIZATIONS)
    if forget_bias is not None and not math.isfinite(forget_bias):
        raise InputError(f"forget_bias={forget_bias}: use a finite number")
    if forget_bias is not None and layer.forget_gate is None:
        raise InputError(f"forget_bias={forget_bias}: this cell has no forget gate, leave it null")
    for name, parameter in layer.named_parameters():
        if init == "uniform":
            nn.init.uniform_(parameter, -UNIFORM_RANGE, UNIFORM_RANGE)
        elif init != "default":
            _initialize(name, parameter.detach(), layer.hidden_size, init)
    if forget_bias is not None and layer.forget_gate is not None:
        biases = [parameter for name, parameter in layer.named_parameters() if name.startswith("bias")]
        for number, bias in enumerate(biases):  # torch's layers have two, which are added
            size = layer.hidden_size
            nn.init.constant_(bias.detach()[layer.forget_gate * size :][:size], 0.0 if number else forget_bias)


def initialize_feedforward(init: str, *modules: nn.Module | None) -> None:
    """Set the first weights of the layers around recurrent ones: of ``uniform`` those too are uniform in ±0.1.

    Args:
        init: of the recurrent layers, see `initialize`; with any but ``uniform`` the modules stay as they were built.
        modules: to change, with all of their parameters; None is skipped.
    """
    if init != "uniform":
        return
    for module in modules:
        for parameter in module.parameters() if module is not None else ():
            nn.init.uniform_(parameter, -UNIFORM_RANGE, UNIFORM_RANGE)


def _initialize(name: str, parameter: Tensor, size: int, init: str) -> None:
    """Initialize the weights of each gate, (H, inputs) of (G, inputs), by themselves."""
    if not name.startswith("weight"):
        nn.init.zeros_(parameter)
        return
    for gate in parameter.split(size):
        if init == "orthogonal" and name.startswith("weight_hh"):
            nn.init.orthogonal_(gate)
        else:
            nn.init.xavier_uniform_(gate)
