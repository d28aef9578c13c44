"""What all recurrent cells have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, TypeAlias

from torch import Tensor, nn

CellState: TypeAlias = "tuple[Tensor, ...]"


class Cell(nn.Module):
    """Base of all cells: a recurrent layer that reads frames in one direction.

    A subclass is built from ``(input_size, hidden_size)``. Its ``forward(x, state)`` maps inputs ``(T, N, input_size)``
    and the state before the first frame to the outputs ``(T, N, hidden_size)`` and the state after the last frame. A
    state is a tuple of ``num_states`` tensors ``(1, N, hidden_size)``, which `start` may extend; without one (None) the
    cell starts from zeros.

    Names of weights begin as torch's: ``weight_ih`` (gates * hidden_size, input_size), ``weight_hh`` (gates *
    hidden_size, hidden_size), ``bias`` (gates * hidden_size,), the gates one after the other.

    Attributes:
        hidden_size: units.
        reads_below: whether a layer with another one below it reads what `run` of that returns third. Its constructor
            then takes ``depth``: whether there is one.
        num_states: number of tensors in a state.
        forget_gate: place of the forget gate among the gates; None: there is none.
    """

    hidden_size: int
    reads_below: ClassVar[bool] = False
    num_states: ClassVar[int] = 1
    forget_gate: ClassVar[int | None] = None

    def start(self, hidden: CellState) -> CellState:
        """Return the state before the first frame, of which ``hidden`` are the tensors (1, N, hidden_size)."""
        return hidden

    def run(
        self, x: Tensor, state: CellState | None = None, below: Tensor | None = None
    ) -> tuple[Tensor, CellState, Tensor | None]:
        """Run the layer as one of a stack; for a cell that reads the layer below it.

        Args:
            x: inputs ``(T, N, input_size)``.
            state: before the first frame.
            below: what this method of the layer below returned third.

        Returns:
            The outputs, the state after the last frame, and what the layer above shall see of this layer besides the
            outputs, (T, N, hidden_size); None for most cells.
        """
        y, after = self(x, state)
        return y, after, None

    def activations(self, x: Tensor, below: Tensor | None = None) -> dict[str, Tensor]:
        """Return what the layer computes at each step, for pictures of it; not differentiable.

        Args:
            x: inputs ``(T, N, input_size)``, read from the state zero.
            below: see `run`.

        Returns:
            Gates, candidate, cell and output by name, as far as the cell has them, each (T, N, hidden_size).
        """
        return {"output": type(self).run(self, x, None, below)[0]}

    @classmethod
    def run_directions(
        cls, layers: Sequence[Cell], xs: Sequence[Tensor], below: Sequence[Tensor | None]
    ) -> list[tuple[Tensor, Tensor | None]]:
        """Run layers that read independent inputs, at once if the cell can, which saves calls on a GPU.

        Args:
            layers: of this class and of the same sizes, the two directions of a bidirectional layer.
            xs: inputs of each, ``(T, N, input_size)``.
            below: of each, see `run`.

        Returns:
            For each the outputs, and what the layer above shall see; see `run`.
        """
        results = [layer.run(x, None, other) for layer, x, other in zip(layers, xs, below, strict=True)]
        return [(y, above) for y, _, above in results]
