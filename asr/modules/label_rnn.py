"""Recurrent network over labels: language model, captioner, decoder of a sequence-to-sequence model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from asr.errors import InputError
from asr.modules.cells import CellOptions, CellState, cells_of, check_sizes, find_cell, make_layers
from asr.modules.cells.initialization import initialize_feedforward
from asr.modules.cross_entropy import label_log_probs, output_cross_entropy
from asr.modules.dropout import Dropout
from asr.utils.masks import length_mask


@dataclass(frozen=True)
class Memory:
    """The vectors that each row attends to.

    Attributes:
        values: encoder outputs, ``(R, S, M)``.
        keys: their projection, ``(R, S, H)``, which queries are compared with.
        mask: True where a position is not padding, ``(R, S)``.
    """

    values: Tensor
    keys: Tensor
    mask: Tensor


@dataclass(frozen=True)
class State:
    """State of `LabelRNN` after the labels read so far; each row is a label sequence of its own.

    Attributes:
        layers: state of each layer's cell, tensors ``(1, R, H)``: (h, c) of an LSTM, (h,) of most others.
        memory: what rows attend to; None without attention.
        attended: sum of the attention weights so far, ``(R, S)``; None without attention.
    """

    layers: tuple[CellState, ...]
    memory: Memory | None = None
    attended: Tensor | None = None


class LabelRNN(nn.Module):
    """Log-probabilities of the next label, label by label (Graves 2013, arXiv 1308.0850, section 2).

    Embedding, a stack of recurrent layers in one direction, a linear output layer. With a ``memory_size`` it attends to
    a sequence of vectors of that size (the outputs of an encoder, the grid cells of an image). The query is the lowest
    layer's output. The context is the mean of the vectors weighted by the softmax of their bilinear scores (Luong et
    al. 2015, arXiv 1508.04025, section 3.1, "general") over the square root of the layer's size. It is input to all
    layers above and to the output layer, as in Wu et al. 2016, arXiv 1609.08144, section 3. As the query does not
    depend on an earlier context, training reads all labels at once.

    It is a `asr.decoding.ctc.neural_lm.JoiningScorer`. Log-probabilities are float32.

    Args:
        labels: number V of labels.
        embedding_size: elements of a label's embedding.
        hidden_size: units H of a recurrent layer.
        num_layers: number of recurrent layers.
        cell: recurrent cell, a name in `asr.modules.cells.CELLS`.
        residual: whether the output of the layer below is added to that of each layer but the lowest.
        layer_norm: whether the output of each layer is normalized, before a residual is added.
        init: first weights of the recurrent layers, see `asr.modules.cells.initialization.initialize`; ``"uniform"``
            is that of all others too.
        forget_bias: first bias of the forget gate; None: as ``init`` says.
        periods: of the modules of the cell ``clockwork``; None: 1, 2, 4, 8, 16.
        dropout: probability, of each layer's input and of the output layer's, in training.
        memory_size: elements M of the vectors attended to; None: no attention.
        outputs: size O of the output layer; None: the number of labels, to predict these. Another size is for a network
            that reads the outputs, see `outputs`.

    Raises:
        InputError: the cell or init is unknown, a size is not a positive integer, or the cell lacks an option that is
            given.
    """

    def __init__(
        self,
        labels: int,
        *,
        embedding_size: int = 128,
        hidden_size: int = 512,
        num_layers: int = 1,
        cell: str = "lstm",
        residual: bool = False,
        layer_norm: bool = False,
        init: str = "default",
        forget_bias: float | None = None,
        periods: Sequence[int] | None = None,
        dropout: float = 0.0,
        memory_size: int | None = None,
        outputs: int | None = None,
    ) -> None:
        super().__init__()
        self.num_states = find_cell(cell).num_states
        check_sizes(embedding_size=embedding_size, hidden_size=hidden_size, num_layers=num_layers)
        self.hidden_size = hidden_size
        self.embedding = nn.Embedding(labels, embedding_size)
        upper_size = hidden_size + (memory_size or 0)  # a layer's output and the context
        sizes = [embedding_size] + [upper_size] * (num_layers - 1)
        self.layers = make_layers(cell, sizes, hidden_size, CellOptions(init, forget_bias, periods))
        self.residual = residual
        self.norms = nn.ModuleList(nn.LayerNorm(hidden_size) for _ in sizes if layer_norm)
        self.key = None if memory_size is None else nn.Linear(memory_size, hidden_size, bias=False)
        self.output = nn.Linear(upper_size, labels if outputs is None else outputs)
        self.dropout = Dropout(dropout)
        initialize_feedforward(init, self.embedding, self.key, self.output)

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.output.weight.device

    @property
    def state_size(self) -> int:
        """Number of elements in a row's state, attention excluded."""
        return len(self.layers) * self.num_states * self.hidden_size

    def hidden(self, values: Tensor) -> list[CellState]:
        """Split ``values`` (R, `state_size`) into the layers' states (1, R, H), as `start` takes them."""
        parts = [part.contiguous() for part in values[None].chunk(len(self.layers) * self.num_states, -1)]
        return [tuple(parts[i : i + self.num_states]) for i in range(0, len(parts), self.num_states)]

    def pack(self, state: State) -> Tensor:
        """Join a state without a memory to one tensor (R, S), for searches that keep the states of many rows."""
        return torch.cat([part[0] for hidden in state.layers for part in hidden], -1)

    def unpack(self, values: Tensor) -> State:
        """Return the state of which `pack` made ``values`` (R, S)."""
        like = self.start(1).layers
        parts = iter(values[None].split([part.shape[-1] for hidden in like for part in hidden], -1))
        return State(tuple(tuple(next(parts).to(part.dtype).contiguous() for part in hidden) for hidden in like))

    def start(
        self,
        rows: int,
        memory: Tensor | None = None,
        lengths: Tensor | None = None,
        hidden: Sequence[CellState] | None = None,
    ) -> State:
        """Return the state before the first label.

        Args:
            rows: number R of label sequences.
            memory: vectors that the rows attend to, ``(R, S, M)``.
            lengths: number of vectors of each row, ``(R,)``; None: all of them.
            hidden: initial states of the layers' cells, `num_states` tensors ``(1, R, H)`` each; None: zeros.

        Raises:
            InputError: a memory is given to a network without attention, or none to a network with it.
        """
        if memory is not None and self.key is None:
            raise InputError("this network has no attention: start it without a memory")
        if memory is None and self.key is not None:
            raise InputError("this network has attention: start it with a memory")
        if hidden is None:
            zeros = self.output.weight.new_zeros(1, rows, self.hidden_size)
            hidden = [(zeros,) * self.num_states] * len(self.layers)
        hidden = [layer.start(parts) for layer, parts in zip(cells_of(self.layers), hidden, strict=True)]
        if memory is None or self.key is None:
            return State(tuple(hidden))
        positions = memory.shape[1]
        mask = length_mask(torch.full((rows,), positions) if lengths is None else lengths, positions)
        return State(
            tuple(hidden), Memory(memory, self.key(memory), mask.to(memory.device)), memory.new_zeros(rows, positions)
        )

    def forward(self, labels: Tensor, state: State) -> tuple[Tensor, State]:
        """Score the label that follows each label.

        Args:
            labels: ``(R, U)``.
            state: before the first of them.

        Returns:
            Log-probabilities (natural log) ``(R, U, V)`` float32, and the state after the last label.
        """
        x, new_state = self._run_layers(self.embedding(labels), state)
        log_probs = self.output(self.dropout(x)).float().log_softmax(-1).transpose(0, 1)  # (R, U, V)
        return log_probs, new_state

    def cross_entropy(self, labels: Tensor, targets: Tensor, state: State) -> tuple[Tensor, State]:
        """Compute what `forward` gives the labels that do follow, without its log-probabilities in memory.

        Args:
            labels: ``(R, U)``.
            targets: the label that follows each, ``(R, U)``.
            state: before the first of them.

        Returns:
            The mean of -ln P(target), a scalar in nats, and the state after the last label.
        """
        x, new_state = self._run_layers(self.embedding(labels), state)
        x = self.dropout(x).flatten(0, 1)  # time-major: (U * R, H + M)
        return output_cross_entropy(self.output, x, targets.t().flatten()), new_state

    @torch.no_grad()
    def log_probs_of(self, labels: Tensor, targets: Tensor, state: State) -> Tensor:
        """Return ln P(target), (R, U) float32, of the labels that do follow; the arguments are `cross_entropy`'s."""
        x = self.dropout(self._run_layers(self.embedding(labels), state)[0])
        return label_log_probs(self.output, x.flatten(0, 1), targets.t().flatten()).view(x.shape[:2]).t()

    def outputs(self, labels: Tensor, state: State) -> tuple[Tensor, State]:
        """Return what the output layer puts out, (R, U, O), after each label; otherwise as `forward`."""
        x, new_state = self._run_layers(self.embedding(labels), state)
        return self.output(self.dropout(x)).transpose(0, 1), new_state

    def feed_inputs(self, vectors: Tensor, state: State) -> State:
        """Return the state after ``vectors`` (R, U, embedding_size), which are read in place of embedded labels."""
        return self._run_layers(vectors, state)[1]

    def _run_layers(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Map embeddings (R, U, E) to what the output layer reads, (U, R, H + M), and the state after the last."""
        x = self.dropout(x).transpose(0, 1)  # (U, R, E): the kernels read time-major rows fastest
        new_states, context, attended, below = [], None, state.attended, None
        for number, (layer, hidden) in enumerate(zip(cells_of(self.layers), state.layers, strict=True)):
            lower = x
            if number:
                x = self.dropout(x if context is None else torch.cat([x, context], -1))
            x, new_hidden, below = layer.run(x, hidden, below)
            new_states.append(new_hidden)
            if self.norms:
                x = self.norms[number](x)
            if self.residual and number:
                x = x + lower
            if number == 0 and state.memory is not None and attended is not None:
                context, weights = self._attend(x, state.memory)
                attended = attended + weights.sum(1)  # over U
        x = x if context is None else torch.cat([x, context], -1)
        return x, State(tuple(new_states), state.memory, attended)

    def _attend(self, query: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Return the contexts (U, R, M) of queries (U, R, H), and the attention weights (R, U, S)."""
        scores = torch.bmm(query.transpose(0, 1), memory.keys.transpose(1, 2)).float()  # (R, U, S)
        scores = scores / math.sqrt(query.shape[-1])  # keeps the softmax soft, whatever the layer's size
        weights = scores.masked_fill(~memory.mask[:, None], -torch.inf).softmax(-1)
        return torch.bmm(weights.to(memory.values.dtype), memory.values).transpose(0, 1), weights

    def step(self, state: State, labels: Tensor) -> tuple[Tensor, State]:
        """Return log-probabilities (R, V) of the label after ``labels`` (R,), and the state after these."""
        log_probs, new_state = self(labels[:, None], state)
        return log_probs[:, 0], new_state

    def select(self, state: State, rows: Tensor) -> State:
        """Return the state of the rows with indices ``rows`` (Q,), in that order; a row may occur more than once."""
        layers = tuple(tuple(part.index_select(1, rows) for part in hidden) for hidden in state.layers)
        if (memory := state.memory) is None or state.attended is None:
            return State(layers)
        selected = Memory(memory.values[rows], memory.keys[rows], memory.mask[rows])
        return State(layers, selected, state.attended[rows])

    def join(self, states: Sequence[State]) -> State:
        """Concatenate the rows of several states, in their order; InputError for states with a memory."""
        if any(state.memory is not None for state in states):
            raise InputError("states of a network with attention cannot be joined")
        layers = zip(*(state.layers for state in states), strict=True)
        return State(tuple(tuple(torch.cat(parts, 1) for parts in zip(*hidden, strict=True)) for hidden in layers))

    def attention(self, state: State) -> Tensor:
        """Return the sum (R, S) of the attention weights so far, 1 at padding; InputError without attention."""
        if state.memory is None or state.attended is None:
            raise InputError("this network has no attention")
        return state.attended.masked_fill(~state.memory.mask, 1)
