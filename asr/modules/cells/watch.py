"""Look inside recurrent layers while a network runs: what each reads, and the gradient at each step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn

from asr.modules.cells.base import Cell, CellState
from asr.utils.threads import torch_threads


class Run(Protocol):
    """Runs a layer in place of `Cell.run`, whose arguments it has after the layer's name in the network and itself."""

    def __call__(
        self, name: str, cell: Cell, x: Tensor, state: CellState | None = None, below: Tensor | None = None
    ) -> tuple[Tensor, CellState, Tensor | None]:
        """See `Cell.run`."""


@contextmanager
def run_layers_by(run: Run, network: nn.Module) -> Iterator[None]:
    """Have ``run`` run the recurrent layers of a network, which is on the CPU, within a ``with`` block."""
    cells = {name: module for name, module in network.named_modules() if isinstance(module, Cell)}
    with torch_threads(1):  # on more, the two directions of a layer have graphs of their own
        for name, cell in cells.items():
            cell.__dict__["run"] = partial(run, name, cell)
        try:
            yield
        finally:
            for cell in cells.values():
                del cell.__dict__["run"]


@torch.no_grad()
def layer_activations(network: nn.Module, layer: str, call: Callable[[], object]) -> dict[str, Tensor]:
    """Return `Cell.activations` of one layer.

    Args:
        network: on the CPU.
        layer: name of the layer among the modules of the network.
        call: runs the network, the layer once.

    Returns:
        Gates, candidate, cell and output by name, each (T, N, H); of a layer that reads backwards, its first step
        first.
    """
    found: dict[str, Tensor] = {}

    def run(
        name: str, cell: Cell, x: Tensor, state: CellState | None = None, below: Tensor | None = None
    ) -> tuple[Tensor, CellState, Tensor | None]:
        if name == layer:
            found.update(cell.activations(x, below))
        return type(cell).run(cell, x, state, below)

    with run_layers_by(run, network):
        call()
    return found


def step_gradients(network: nn.Module, loss: Callable[[], Tensor]) -> dict[str, Tensor]:
    """Compute the norm of the gradient of a loss by the output of each layer at each step, ‖∂loss/∂h‖.

    It is the whole gradient: through the layers above, and through the layer's own later steps.

    Args:
        network: on the CPU.
        loss: runs the network, and returns a scalar.

    Returns:
        Norms (T, N) by the name of the layer in the network, for layers that the loss depends on; of a layer that reads
        backwards, its first step first.
    """
    outputs: dict[str, list[Tensor]] = {}

    def run(
        name: str, cell: Cell, x: Tensor, state: CellState | None = None, below: Tensor | None = None
    ) -> tuple[Tensor, CellState, Tensor | None]:
        zeros = x.new_zeros(1, x.shape[1], cell.hidden_size)
        state = cell.start((zeros,) * cell.num_states) if state is None else state
        own, above = outputs.setdefault(name, []), []
        for t in range(len(x)):
            _, state, seen = type(cell).run(cell, x[t : t + 1], state, None if below is None else below[t : t + 1])
            # one tensor for the layers above and for the next step, whose gradient is the sum of both
            own.append(state[0])
            above.append(seen)
        seen_above = [part for part in above if part is not None]
        return torch.cat(own), state, torch.cat(seen_above) if seen_above else None

    with run_layers_by(run, network), torch.enable_grad():
        value = loss()
        # the loss may have run a layer without a gradient too, to look something up
        outputs = {
            name: kept for name, own in outputs.items() if (kept := [step for step in own if step.requires_grad])
        }
        steps = [step for own in outputs.values() for step in own]
        gradients = iter(torch.autograd.grad(value, steps, allow_unused=True, materialize_grads=True))
    return {name: torch.cat([next(gradients) for _ in own]).norm(dim=-1) for name, own in outputs.items()}
