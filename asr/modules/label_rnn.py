"""The network that writes labels one at a time: language model, captioner, decoder of a seq2seq model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from asr.errors import InputError
from asr.modules.cells import CELLS
from asr.modules.dropout import Dropout
from asr.utils.masks import length_mask


@dataclass(frozen=True)
class Memory:
    """What rows attend to: values (R, S, M), keys (R, S, H), which of them count (R, S)."""

    values: Tensor
    keys: Tensor
    mask: Tensor


@dataclass(frozen=True)
class State:
    """What `LabelRNN` remembers of so many label sequences, one a row.

    ``layers`` holds of each layer its hidden tensors (1, R, H): h and c of an LSTM, h of the others. ``attended``
    (R, S) is the sum of the attention so far.
    """

    layers: tuple[tuple[Tensor, ...], ...]
    memory: Memory | None = None
    attended: Tensor | None = None


class LabelRNN(nn.Module):
    """Label by label, the log-probabilities of the next one (Graves 2013, arXiv 1308.0850, section 2).

    Embedding, a stack of recurrent layers in one direction, a linear layer. With a ``memory_size`` it attends to a
    sequence of vectors of that size (the outputs of an encoder, the places of an image): the lowest layer's output
    asks, the answer is the mean of the vectors, weighted by the softmax of their bilinear scores (Luong et al. 2015,
    arXiv 1508.04025, "general") over the root of the layer's size, and goes to all layers above and to the output, as
    in Wu et al. 2016, arXiv 1609.08144, section 3. So in training all labels are read at once.

    It is a `asr.decoding.ctc.neural_lm.JoiningScorer`. Log-probabilities are float32.

    Args:
        labels: how many there are.
        embedding_size: of a label.
        hidden_size, num_layers, cell: of the recurrent layers; ``cell`` is lstm, gru or tanh.
        dropout: of what each layer reads, and of the output.
        memory_size: of the vectors attended to; None: no attention.
    """

    def __init__(
        self,
        labels: int,
        *,
        embedding_size: int = 128,
        hidden_size: int = 512,
        num_layers: int = 1,
        cell: str = "lstm",
        dropout: float = 0.0,
        memory_size: int | None = None,
    ) -> None:
        super().__init__()
        sizes = {"embedding_size": embedding_size, "hidden_size": hidden_size, "num_layers": num_layers}
        if cell not in CELLS:
            raise InputError(f"cell={cell!r} is not one of {', '.join(CELLS)}")
        if wrong := [f"{name}={size!r}" for name, size in sizes.items() if not isinstance(size, int) or size < 1]:
            raise InputError(f"{', '.join(wrong)}: sizes are positive whole numbers")
        make, options = CELLS[cell]
        answer = memory_size or 0
        self.cell = cell
        self.embedding = nn.Embedding(labels, embedding_size)
        above = [hidden_size + answer] * (num_layers - 1)
        self.layers = nn.ModuleList(make(size, hidden_size, **options) for size in [embedding_size, *above])
        self.key = None if memory_size is None else nn.Linear(memory_size, hidden_size, bias=False)
        self.output = nn.Linear(hidden_size + answer, labels)
        self.dropout = Dropout(dropout)

    @property
    def device(self) -> torch.device:
        return self.output.weight.device

    @property
    def hidden_size(self) -> int:
        """Of each layer."""
        return cast(nn.RNNBase, self.layers[0]).hidden_size

    @property
    def state_size(self) -> int:
        """How many numbers a state has, but for what it attends to."""
        return len(self.layers) * self.hidden_size * (2 if self.cell == "lstm" else 1)

    def hidden(self, numbers: Tensor) -> list[tuple[Tensor, ...]]:
        """All layers' hidden tensors (1, R, H), as `start` takes them, out of (R, `state_size`)."""
        parts = numbers[None].chunk(self.state_size // self.hidden_size, -1)
        each = 2 if self.cell == "lstm" else 1
        return [tuple(part.contiguous() for part in parts[i : i + each]) for i in range(0, len(parts), each)]

    def start(
        self,
        rows: int,
        memory: Tensor | None = None,
        lengths: Tensor | None = None,
        hidden: Sequence[tuple[Tensor, ...]] | None = None,
    ) -> State:
        """The state before the first label.

        ``memory`` (R, S, M) with ``lengths`` (R,) is what rows attend to; ``hidden`` are the layers' first hidden
        tensors (1, R, H), zeros if none are given. Raises InputError for a memory where there is no attention, and
        the other way round.
        """
        if (memory is None) != (self.key is None):
            raise InputError(f"a memory is {'not ' * (self.key is None)}wanted by this network")
        if hidden is None:
            zeros = self.output.weight.new_zeros(1, rows, self.hidden_size)
            hidden = [(zeros, zeros) if self.cell == "lstm" else (zeros,)] * len(self.layers)
        if memory is None or self.key is None:
            return State(tuple(hidden))
        places = memory.shape[1]
        counts = length_mask(torch.full((rows,), places) if lengths is None else lengths, places).to(memory.device)
        return State(tuple(hidden), Memory(memory, self.key(memory), counts), memory.new_zeros(rows, places))

    def forward(self, labels: Tensor, state: State) -> tuple[Tensor, State]:
        """Log-probabilities (R, U, V) of what follows each of ``labels`` (R, U), and the state behind the last."""
        x, then = self._layers(self.embedding(labels), state)
        log_probs = self.output(self.dropout(x)).float().log_softmax(-1).transpose(0, 1)
        return log_probs, then

    def feed_inputs(self, vectors: Tensor, state: State) -> State:
        """The state after ``vectors`` (R, U, embedding_size) have been read in place of labels."""
        return self._layers(vectors, state)[1]

    def _layers(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """What the output layer reads, (U, R, H'), when the lowest layer has read (R, U, E); the state then."""
        x = self.dropout(x).transpose(0, 1)  # time first, which the kernels read fastest
        after, answer, attended = [], None, state.attended
        for number, (layer, hidden) in enumerate(zip(self.layers, state.layers, strict=True)):
            if number:
                x = self.dropout(x if answer is None else torch.cat([x, answer], -1))
            x, then = layer(x, hidden if self.cell == "lstm" else hidden[0])
            after.append(then if self.cell == "lstm" else (then,))
            if number == 0 and state.memory is not None and attended is not None:
                answer, weights = self._attend(x, state.memory)
                attended = attended + weights.sum(1)
        x = x if answer is None else torch.cat([x, answer], -1)
        return x, State(tuple(after), state.memory, attended)

    def _attend(self, asked: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Answers (U, R, M) to what layers ask (U, R, H), and the attention (R, U, S)."""
        scores = torch.bmm(asked.transpose(0, 1), memory.keys.transpose(1, 2)).float()  # (R, U, S)
        scores = scores / math.sqrt(asked.shape[-1])
        weights = scores.masked_fill(~memory.mask[:, None], -torch.inf).softmax(-1)
        return torch.bmm(weights.to(memory.values.dtype), memory.values).transpose(0, 1), weights

    def step(self, state: State, labels: Tensor) -> tuple[Tensor, State]:
        """Log-probabilities (R, V) of the label after ``labels`` (R,), and the state then."""
        log_probs, then = self(labels[:, None], state)
        return log_probs[:, 0], then

    def select(self, state: State, rows: Tensor) -> State:
        """The state of some rows (Q,), which may occur more than once."""
        layers = tuple(tuple(part.index_select(1, rows) for part in hidden) for hidden in state.layers)
        if (memory := state.memory) is None or state.attended is None:
            return State(layers)
        chosen = Memory(memory.values[rows], memory.keys[rows], memory.mask[rows])
        return State(layers, chosen, state.attended[rows])

    def join(self, states: Sequence[State]) -> State:
        """One state of the rows of several, all without a memory."""
        if any(state.memory is not None for state in states):
            raise InputError("states that attend to something cannot be put together")
        layers = zip(*(state.layers for state in states), strict=True)
        return State(tuple(tuple(torch.cat(parts, 1) for parts in zip(*hidden, strict=True)) for hidden in layers))

    def attention(self, state: State) -> Tensor:
        """The sum (R, S) of the attention that each place got so far; 1 for padding."""
        if state.memory is None or state.attended is None:
            raise InputError("this network attends to nothing")
        return state.attended.masked_fill(~state.memory.mask, 1)
