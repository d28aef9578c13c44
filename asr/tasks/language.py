"""Language models: which label comes next (Graves 2013, Generating sequences with recurrent neural networks)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from asr.data.text_stream import StreamBatch
from asr.errors import InputError
from asr.modules.label_rnn import LabelRNN, State
from asr.registry import build
from asr.tasks.base import Loss, Task, Validation
from asr.text.vocabulary import Vocabulary

NETWORKS = {"label_rnn": LabelRNN}
NONE = -1
MISSING_LABEL_LOG_PROB = -20.0  # natural log


class LanguageTask(Task):
    """A label RNN over text. ``<eos>`` stands behind each piece of text, and so before the next one too.

    ``vocabularies`` holds one, of characters or pieces, with that label.
    """

    groups = ("label_rnn",)  # of a configuration, besides its own

    def __init__(self, vocabularies: Mapping[str, Vocabulary], network: LabelRNN) -> None:
        super().__init__()
        self.vocabularies = dict(vocabularies)
        if (eos := self.vocabulary.eos) is None:
            raise InputError("the vocabulary of a language model needs the label <eos>")
        self.eos = eos
        self.network = network
        # states at the end of the last batch of training and of dev text (truncated BPTT)
        self._state: State | None = None
        self._dev_state: State | None = None

    @classmethod
    def from_config(cls, config: Mapping[str, Any], vocabularies: Mapping[str, Vocabulary]) -> LanguageTask:
        """Build from the groups ``task`` and ``label_rnn`` of a configuration."""
        if len(vocabularies) != 1:
            raise InputError(f"a language model has one head, not {len(vocabularies)}")
        ((_, vocabulary),) = vocabularies.items()
        network = build(NETWORKS, config["label_rnn"], "label_rnn", labels=len(vocabulary))
        options = {option: value for option, value in config["task"].items() if option != "heads"}
        return build({"language": cls}, options, "task", vocabularies=vocabularies, network=network)

    def forward(self, labels: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Log-probabilities (N, U, V) of what follows each of ``labels`` (N, U); the state behind the last."""
        return self.network(labels, self.network.start(len(labels)) if state is None else state)

    def loss(self, labels: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Mean nats a label of ``labels`` (N, U + 1) but the first, each after those before it; the state behind them.

        Backpropagation through time ends where the state comes from (truncated BPTT: it is detached).
        """
        log_probs, then = self(labels[:, :-1], state)
        nats = F.nll_loss(log_probs.flatten(0, 1), labels[:, 1:].flatten())
        layers = tuple(tuple(part.detach() for part in hidden) for hidden in then.layers)
        return nats, State(layers)

    def training_loss(self, batch: StreamBatch) -> Loss:
        """Compute `loss` from the state at the end of the previous batch; batch 0 of a pass starts anew."""
        loss, self._state = self.loss(batch.labels, self._state if batch.number else None)
        return Loss(loss)

    def validation_step(self, batch: StreamBatch) -> Validation:
        """Compute `loss` from the state at the end of the previous batch of dev text."""
        loss, self._dev_state = self.loss(batch.labels, self._dev_state if batch.number else None)
        return Validation({"dev_loss": (loss, batch.labels[:, 1:].numel())})

    def training_state(self) -> Any:
        """Return the state at the end of the last training batch, as nested lists of tensors."""
        return None if self._state is None else [list(hidden) for hidden in self._state.layers]

    def load_training_state(self, state: Any) -> None:
        """Restore what `training_state` returned."""
        self._state = None if state is None else State(tuple(map(tuple, state)))

    @torch.no_grad()
    def read_prompt(self, labels: Sequence[int]) -> tuple[Tensor, State]:
        """Return the last label (1,) of a prompt, or <eos> for an empty one, and the state before that label."""
        row = torch.tensor([[self.eos, *labels]], device=self.network.device)
        state = self.network.start(1)
        if row.shape[1] > 1:
            _, state = self.network(row[:, :-1], state)
        return row[:, -1], state


class LanguageScorer:
    """A language model of other labels, those of ``tokens``: a `asr.decoding.ctc.neural_lm.JoiningScorer`.

    Its last label, ``end``, is the model's <eos>, and begins a text as well. Labels that the model does not have are
    `MISSING_LABEL_LOG_PROB`.
    """

    def __init__(self, task: LanguageTask, tokens: Sequence[str]) -> None:
        self.network = task.eval().network
        self.end = len(tokens)
        known = {token: label for label, token in enumerate(task.vocabulary.tokens)}
        own = [known.get(token, NONE) for token in tokens] + [task.eos]
        self._own = torch.tensor([max(label, 0) for label in own], device=self.device)
        self._missing = torch.tensor([label == NONE for label in own], device=self.device)

    @property
    def device(self) -> torch.device:
        return self.network.device

    def start(self, rows: int) -> State:
        return self.network.start(rows)

    def step(self, state: State, labels: Tensor) -> tuple[Tensor, State]:
        log_probs, then = self.network.step(state, self._own[labels])
        return log_probs[:, self._own].masked_fill(self._missing, MISSING_LABEL_LOG_PROB), then

    def select(self, state: State, rows: Tensor) -> State:
        return self.network.select(state, rows)

    def join(self, states: Sequence[State]) -> State:
        return self.network.join(states)
