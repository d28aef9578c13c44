"""Deep recurrent layers over padded batches: as fast as dense tensors allow, equal to packed sequences.

``nn.LSTM`` over a ``PackedSequence`` runs each time step with a batch of its own size and is several times slower
than over a dense tensor. Only the backward direction needs the packing, so that it starts at each utterance's own
end. Here every utterance is reversed within its own length instead, run forward, and reversed back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from asr.errors import InputError
from asr.modules.cells import CellOptions, CellState, cells_of, check_sizes, make_layers
from asr.modules.dropout import Dropout
from asr.modules.parallel import side_by_side
from asr.utils.masks import length_mask
from asr.utils.options import check_choice

# How the outputs (T, N, H) of two directions are joined.
MERGES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "concat": lambda forwards, backwards: torch.cat([forwards, backwards], -1),
    "sum": lambda forwards, backwards: forwards + backwards,
    "mean": lambda forwards, backwards: (forwards + backwards) / 2,
    "max": torch.maximum,
}


class _TakeRows(torch.autograd.Function):
    """``x[index]`` for an index that is its own inverse, so that the gradient is the same fast gather."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        return x.index_select(0, index)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (index,) = ctx.saved_tensors
        return gradients[0].index_select(0, index), None


def reversal(lengths: Tensor, frames: int) -> Tensor:
    """Return the index that reverses each sequence of a flattened time-major batch within its own length.

    The index is its own inverse. Frames beyond a sequence's end stay where they are.

    Args:
        lengths: frames of each sequence, integers ``(N,)``.
        frames: number T of frames of the padded batch.

    Returns:
        Index ``(T * N,)`` into rows.
    """
    time = torch.arange(frames, device=lengths.device)[:, None]  # (T, 1)
    source = torch.where(time < lengths, lengths - 1 - time, time)  # (T, N)
    batch = lengths.shape[0]  # not len(), which an export would take for a constant
    return (source * batch + torch.arange(batch, device=lengths.device)).flatten()


def reverse(x: Tensor, index: Tensor) -> Tensor:
    """Apply the index of `reversal` to a time-major batch ``(T, N, F)``; same shape."""
    return _TakeRows.apply(x.flatten(0, 1), index).view_as(x)


class RNN(nn.Module):
    """A stack of recurrent layers, each in one or two directions, with dropout between layers.

    Equations 3-7 of Graves, Mohamed & Hinton (2013, arXiv 1303.5778) for ``cell="peephole_lstm"``, without peepholes
    for ``cell="lstm"``; equations 8-10 (the deep bidirectional stack) for the composition. Outputs and gradients equal
    those of ``nn.LSTM(bidirectional=True)`` over a ``PackedSequence``; `from_torch` copies the weights of one.

    Maps ``(N, T, input_size)`` and lengths ``(N,)`` (integers from 1 to T) to ``(N, T, output_size)``, zero beyond
    each length.

    Args:
        input_size: elements of an input frame.
        hidden_size: units of a layer in one direction.
        num_layers: number of layers.
        bidirectional: whether each layer also runs backwards.
        dropout: probability, of the input of each layer but the lowest, in training.
        cell: name in `asr.modules.cells.CELLS`.
        merge: how the two directions are joined: ``"concat"``, ``"sum"``, ``"mean"`` or ``"max"`` of each unit.
        residual: whether the input of each layer but the lowest is added to its output; a number n: of the layers above
            layer n alone, so that true is 1.
        layer_norm: whether the output of each layer is normalized, before a residual is added (Ba et al. 2016, arXiv
            1607.06450, outside the recurrence).
        options: of the cells; None: the defaults.

    Attributes:
        concatenates: whether an output frame is one of the forward direction followed by one of the backward direction.
        output_size: elements of an output frame, ``hidden_size``; twice as many where two directions are concatenated.

    Raises:
        InputError: the cell or the merge is unknown, a size is not a positive integer, ``residual`` is negative, or the
            cell lacks an option.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bidirectional: bool = True,
        dropout: float = 0.0,
        cell: str = "lstm",
        merge: str = "concat",
        residual: bool | int = False,
        layer_norm: bool = False,
        options: CellOptions | None = None,
    ) -> None:
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        check_choice("merge", merge, MERGES)
        if residual < 0:
            raise InputError(f"residual={residual}: use true, false, or a number of layers of at least 1")
        self.merge = MERGES[merge]
        self.residual = residual
        self.concatenates = bidirectional and merge == "concat"
        self.output_size = hidden_size * (2 if self.concatenates else 1)
        sizes = [input_size] + [self.output_size] * (num_layers - 1)
        self.forwards = make_layers(cell, sizes, hidden_size, options)
        self.backwards = make_layers(cell, sizes if bidirectional else [], hidden_size, options)
        self.norms = nn.ModuleList(nn.LayerNorm(self.output_size) for _ in sizes if layer_norm)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor, between: Callable[[int, Tensor], Tensor] | None = None) -> Tensor:
        """Run all layers; see the class.

        Args:
            x: padded inputs, ``(N, T, input_size)``.
            lengths: frames of each sequence, ``(N,)``.
            between: ``between(n, y)`` may replace the outputs ``y`` (T, N, output_size) of layer n, counted from 1,
                before layer n + 1 reads them.

        Returns:
            Outputs of the highest layer, ``(N, T, output_size)``.
        """
        frames = x.shape[1]
        lengths = lengths.to(x.device)
        x = x.transpose(0, 1).contiguous()  # (T, N, F): the kernels read time-major rows fastest
        index = reversal(lengths, frames) if self.backwards else None
        below: tuple[Tensor, ...] = ()  # what cells that read the layer below see of it, by direction
        for layer in range(len(self.forwards)):
            if layer:
                x = self.dropout(x)
                if between is not None:
                    x = between(layer, x)
            y, below = self._one_direction(layer, x, below) if index is None else self._two(layer, x, index, below)
            if self.norms:
                y = self.norms[layer](y)
            x = x + y if self.residual and layer >= self.residual else y
        mask = length_mask(lengths, frames).T[..., None]  # (T, N, 1)
        return x.masked_fill(~mask, 0).transpose(0, 1)

    def advance(
        self,
        x: Tensor,
        states: Sequence[CellState] | None = None,
        between: Callable[[int, Tensor], Tensor] | None = None,
    ) -> tuple[Tensor, list[CellState]]:
        """Run all layers over the next frames of sequences that go on; in one direction only, and not in training.

        Frames in pieces give what `forward` gives for all of them.

        Args:
            x: inputs of one length, ``(N, T, input_size)``.
            states: of the layers after the frames before; None: there were none.
            between: see `forward`.

        Returns:
            Outputs of the highest layer, ``(N, T, output_size)``, and the states after the last frame.
        """
        if self.backwards:
            raise InputError("a bidirectional network needs all frames of a sequence at once")
        x = x.transpose(0, 1).contiguous()
        after: list[CellState] = []
        below: Tensor | None = None
        for layer, cell in enumerate(cells_of(self.forwards)):
            if layer and between is not None:
                x = between(layer, x)
            y, state, below = cell.run(x, states[layer] if states else None, below)
            after.append(state)
            if self.norms:
                y = self.norms[layer](y)
            x = x + y if self.residual and layer >= self.residual else y
        return x.transpose(0, 1), after

    def _one_direction(self, layer: int, x: Tensor, below: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the outputs of a layer, (T, N, F) to (T, N, H), and what the layer above sees besides."""
        y, _, above = cells_of(self.forwards)[layer].run(x, None, below[0] if below else None)
        return y, () if above is None else (above,)

    def _two(self, layer: int, x: Tensor, index: Tensor, below: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the merged outputs of a bidirectional layer, and what the layer above sees besides, by direction."""
        cells = cells_of(self.forwards)[layer], cells_of(self.backwards)[layer]
        if x.device.type != "cpu":
            others = (below[0], reverse(below[1], index)) if below else (None, None)
            (y, above), (z, under) = cells[0].run_directions(cells, (x, reverse(x, index)), others)
            z = reverse(z, index)
            if above is None or under is None:
                return self.merge(y, z), ()
            return self.merge(y, z), (above, reverse(under, index))
        passes_on = cells[0].reads_below and layer + 1 < len(self.forwards)
        sizes = [x.shape[-1], *(part.shape[-1] for part in below)]
        packed = torch.cat([x, *below], -1) if below else x  # one tensor, whose gradient both halves add up to

        def run(number: int, packed: Tensor) -> Tensor:
            packed = reverse(packed, index) if number else packed
            x, *others = packed.split(sizes, -1)
            y, _, above = cells[number].run(x, None, others[number] if others else None)
            y = torch.cat([y, above], -1) if passes_on and above is not None else y
            return reverse(y, index) if number else y

        results = side_by_side(run, cells, packed)
        if not passes_on:
            return self.merge(*results), ()
        (y, above), (z, under) = (result.chunk(2, -1) for result in results)
        return self.merge(y, z), (above, under)

    @classmethod
    def from_torch(cls, network: nn.RNNBase) -> RNN:
        """Copy a ``torch.nn.LSTM``, ``GRU`` or ``RNN`` (with biases), its weights included."""
        cell = {"RNN_TANH": "tanh", "RNN_RELU": "relu", "GRU": "gru_reset_after"}.get(
            network.mode, network.mode.lower()
        )
        rnn = cls(
            network.input_size,
            network.hidden_size,
            network.num_layers,
            bidirectional=network.bidirectional,
            dropout=network.dropout,
            cell=cell,
        )
        with torch.no_grad():
            for layers, suffix in ((rnn.forwards, ""), (rnn.backwards, "_reverse")):
                for number, layer in enumerate(layers):
                    for name, parameter in layer.named_parameters():  # weight_ih_l0, …
                        parameter.copy_(getattr(network, f"{name[:-1]}{number}{suffix}"))
        return rnn
