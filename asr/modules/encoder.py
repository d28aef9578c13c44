"""The recurrent encoder: feature frames to one vector per frame, or per ``stride`` frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from asr.errors import InputError
from asr.modules.cells import CellOptions
from asr.modules.convolution import Convolution
from asr.modules.dropout import Dropout
from asr.modules.frame_stacking import FrameStacking
from asr.modules.rnn import RNN
from asr.utils.options import check_choice
from asr.utils.precision import PRECISIONS, inference_precision


class Encoder(nn.Module):
    """Frame stacking or convolutions, a deep (bidirectional) RNN, dropout.

    Maps features ``(N, T, input_size)`` and lengths ``(N,)`` to ``(N, T', output_size)`` and lengths ``(N,)``, where
    T' = ceil(T / stride).

    Args:
        input_size: features per frame.
        hidden_size: units of a recurrent layer in one direction.
        num_layers: number of recurrent layers.
        cell: recurrent cell, a name in `asr.modules.cells.CELLS`.
        bidirectional: whether each layer also reads the utterance backwards.
        merge: how the outputs of the two directions are joined: ``"concat"``, ``"sum"``, ``"mean"`` or ``"max"``.
        residual: whether the input of each layer but the lowest is added to its output; a number n: of the layers above
            layer n alone.
        layer_norm: whether the output of each layer is normalized, before a residual is added.
        init: first weights of the recurrent layers, see `asr.modules.cells.initialization.initialize`; ``"uniform"``
            is that of the layers which a task has above the encoder too.
        forget_bias: first bias of the forget gate; None: as ``init`` says.
        periods: of the modules of the cell ``clockwork``; None: 1, 2, 4, 8, 16.
        dropout: probability, between layers and of the output, in training.
        stack: number of consecutive frames that are joined to one input of the RNN.
        stride: frames from one input of the RNN to the next.
        channels: output channels of `Convolution` layers, which then replace the stacking; empty: no convolutions.
        inference_precision: ``"bfloat16"``: in inference mode the products are computed in it where the device is
            faster so, see `asr.utils.precision`; training has the trainer's precision.

    Attributes:
        init: as given.
        output_size: elements of an output vector, ``hidden_size``; twice as many where directions are concatenated.

    Raises:
        InputError: a size is not a positive integer, the cell, merge or init is unknown, the cell lacks an option that
            is given, both ``channels`` and ``stack`` are given, or the precision is unknown.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int = 250,
        num_layers: int = 3,
        *,
        cell: str = "lstm",
        bidirectional: bool = True,
        merge: str = "concat",
        residual: bool | int = False,
        layer_norm: bool = False,
        init: str = "default",
        forget_bias: float | None = None,
        periods: Sequence[int] | None = None,
        dropout: float = 0.0,
        stack: int = 1,
        stride: int = 1,
        channels: Sequence[int] = (),
        inference_precision: str = "float32",
    ) -> None:
        super().__init__()
        check_choice("inference_precision", inference_precision, PRECISIONS)
        if channels and stack != 1:
            raise InputError(f"stack={stack}: convolutions (channels) read single frames: use stack=1")
        self.front: Convolution | FrameStacking
        if channels:
            self.front = Convolution(input_size, channels, stride)
            rnn_input_size = self.front.output_size
        else:
            self.front = FrameStacking(stack, stride)
            rnn_input_size = input_size * stack
        self.stride = stride
        self.rnn = RNN(
            rnn_input_size,
            hidden_size,
            num_layers,
            bidirectional=bidirectional,
            dropout=dropout,
            cell=cell,
            merge=merge,
            residual=residual,
            layer_norm=layer_norm,
            options=CellOptions(init, forget_bias, periods),
        )
        self.dropout = Dropout(dropout)
        self.num_layers = num_layers
        self.init = init
        self.output_size = self.rnn.output_size
        self.bidirectional = bidirectional
        self.inference_precision = inference_precision

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Return the number of output frames (N,) for ``lengths`` (N,) input frames."""
        return self.front.output_lengths(lengths)

    def forward(
        self, x: Tensor, lengths: Tensor, between: Callable[[int, Tensor], Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Encode features; see the class, and `RNN.forward` for ``between``."""
        with inference_precision(self.inference_precision, x.device):
            y, lengths = self.front(x, lengths)
            y = self.dropout(self.rnn(y, lengths, between))
        # what reads y, outside of that context, has the weights' precision
        return y if self.inference_precision == "float32" else y.to(x.dtype), lengths
