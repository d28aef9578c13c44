"""The encoder RNN: reads a sequence of feature frames, writes one vector a frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from asr.errors import InputError
from asr.modules.convolution import Convolution
from asr.modules.dropout import Dropout
from asr.modules.frame_stacking import FrameStacking
from asr.modules.rnn import RNN


class Encoder(nn.Module):
    """Frame stacking or convolutions, a deep (bidirectional) RNN, dropout.

    ``stack`` consecutive frames are read as one and ``stride`` frames lie between two reads, so that the output has
    ``ceil(T / stride)`` frames. With ``channels``, as many as it shall have layers, `Convolution` reads them instead.
    Shapes: ``(N, T, input_size)``, ``(N,)`` to ``(N, T', output_size)``, ``(N,)``.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int = 250,
        num_layers: int = 3,
        *,
        cell: str = "lstm",
        bidirectional: bool = True,
        dropout: float = 0.0,
        stack: int = 1,
        stride: int = 1,
        channels: Sequence[int] = (),
    ) -> None:
        super().__init__()
        if channels and stack != 1:
            raise InputError(f"stack={stack}: convolutions (channels) read frames as they are: use stack=1")
        self.front: Convolution | FrameStacking
        if channels:
            self.front = Convolution(input_size, channels, stride)
            read = self.front.output_size
        else:
            self.front = FrameStacking(stack, stride)
            read = input_size * stack
        self.stride = stride
        self.rnn = RNN(
            read,
            hidden_size,
            num_layers,
            bidirectional=bidirectional,
            dropout=dropout,
            cell=cell,
        )
        self.dropout = Dropout(dropout)
        self.num_layers = num_layers
        self.output_size = self.rnn.output_size
        self.bidirectional = bidirectional

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Frames written for so many frames read, both (N,)."""
        return self.front.output_lengths(lengths)

    def forward(
        self, x: Tensor, lengths: Tensor, between: Callable[[int, Tensor], Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """See the class; ``between`` as in `RNN.forward`."""
        x, lengths = self.front(x, lengths)
        return self.dropout(self.rnn(x, lengths, between)), lengths
