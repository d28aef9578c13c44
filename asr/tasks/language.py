"""Language models: predict the next label (Graves 2013, Generating sequences with recurrent neural networks)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from asr.data.text_stream import StreamBatch
from asr.errors import InputError
from asr.modules.label_rnn import LabelRNN, State
from asr.tasks._builders import build_label_rnn, build_task
from asr.tasks.base import Loss, Task, Validation
from asr.text.vocabulary import Vocabulary

MISSING_LABEL_LOG_PROB = -20.0  # natural log


class LanguageTask(Task):
    """A label RNN over text, trained by truncated backpropagation through time.

    ``<eos>`` stands after each piece of text, and so before the next one too.

    Args:
        vocabularies: one, of characters or SentencePiece pieces, with the label <eos>.
        network: the label RNN, without attention.

    Raises:
        InputError: the vocabulary lacks <eos>.
    """

    groups = ("label_rnn",)

    def __init__(self, vocabularies: Mapping[str, Vocabulary], network: LabelRNN) -> None:
        super().__init__()
        self.vocabularies = dict(vocabularies)
        if (eos := self.vocabulary.eos) is None:
            raise InputError(f"the vocabulary of a language model ({self.primary}) needs the label <eos>")
        self.eos = eos
        self.network = network
        # states at the end of the last batch of training and of dev text (truncated BPTT)
        self._state: State | None = None
        self._dev_state: State | None = None

    @classmethod
    def from_config(cls, config: Mapping[str, Any], vocabularies: Mapping[str, Vocabulary]) -> LanguageTask:
        """Build from the groups ``task`` and ``label_rnn`` of a configuration.

        Raises:
            InputError: there is not exactly one vocabulary, or a setting is wrong.
        """
        if len(vocabularies) != 1:
            raise InputError(f"a language model has one head, not {len(vocabularies)}")
        ((_, vocabulary),) = vocabularies.items()
        return build_task(cls, config, vocabularies, network=build_label_rnn(config, len(vocabulary)))

    def forward(self, labels: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Score the label that follows each label.

        Args:
            labels: (N, U) int64.
            state: before the first of them; None begins anew.

        Returns:
            Log-probabilities (N, U, V) float32, and the state after the last label.
        """
        return self.network(labels, self.network.start(len(labels)) if state is None else state)

    def loss(self, labels: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Compute the mean cross entropy in nats per label, each label given those before it.

        Args:
            labels: (N, U + 1) int64; the first of each row is not scored.
            state: before the first label; None begins anew.

        Returns:
            The loss (scalar), and the state after the last but one label of each row. The state is detached, so that
            backpropagation ends at the batch (truncated BPTT).
        """
        state = self.network.start(len(labels)) if state is None else state
        nats, after = self.network.cross_entropy(labels[:, :-1], labels[:, 1:], state)
        layers = tuple(tuple(part.detach() for part in hidden) for hidden in after.layers)
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
    """A language model over another vocabulary's labels: an `asr.decoding.ctc.neural_lm.JoiningScorer`.

    The last label, ``end``, is the model's <eos>, which also begins a text. Labels that the model does not have get
    `MISSING_LABEL_LOG_PROB`.

    Args:
        task: the language model.
        tokens: the V - 1 tokens of the other vocabulary.

    Attributes:
        end: index of <eos>, V - 1.
    """

    def __init__(self, task: LanguageTask, tokens: Sequence[str]) -> None:
        self.network = task.eval().network
        self.end = len(tokens)
        known = {token: label for label, token in enumerate(task.vocabulary.tokens)}
        own = [known.get(token) for token in tokens] + [task.eos]
        self._own = torch.tensor([label or 0 for label in own], device=self.device)  # (V,)
        self._missing = torch.tensor([label is None for label in own], device=self.device)  # (V,)

    @property
    def device(self) -> torch.device:
        """Device of the network."""
        return self.network.device

    def start(self, rows: int) -> State:
        """Return the state of R empty sequences."""
        return self.network.start(rows)

    def step(self, state: State, labels: Tensor) -> tuple[Tensor, State]:
        """Return log-probabilities (R, V) of the label after ``labels`` (R,), and the next state."""
        log_probs, after = self.network.step(state, self._own[labels])
        return log_probs[:, self._own].masked_fill(self._missing, MISSING_LABEL_LOG_PROB), after

    def select(self, state: State, rows: Tensor) -> State:
        """Return the state of ``rows`` (R',)."""
        return self.network.select(state, rows)

    def join(self, states: Sequence[State]) -> State:
        """Return one state with the rows of several, in their order."""
        return self.network.join(states)
