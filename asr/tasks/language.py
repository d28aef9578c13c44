"""Language models: which label comes next (Graves 2013, Generating sequences with recurrent neural networks)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asr.errors import InputError
from asr.modules.label_rnn import LabelRNN, State
from asr.registry import build
from asr.vocabulary import Vocabulary

NETWORKS = {"label_rnn": LabelRNN}


class LanguageTask(nn.Module):
    """A label RNN over text. ``<eos>`` stands behind each piece of text, and so before the next one too.

    ``vocabularies`` holds one, of characters or pieces, with that label.
    """

    groups = ("label_rnn",)  # of a configuration, besides its own

    def __init__(self, vocabularies: Mapping[str, Vocabulary], network: LabelRNN) -> None:
        super().__init__()
        self.vocabularies = dict(vocabularies)
        ((self.primary, self.vocabulary),) = self.vocabularies.items()
        if (eos := self.vocabulary.eos) is None:
            raise InputError("the vocabulary of a language model needs the label <eos>")
        self.eos = eos
        self.network = network

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

    @torch.no_grad()
    def read(self, labels: Sequence[int]) -> tuple[Tensor, State]:
        """What comes before the next label of a text that begins so: the last one (1,), and the state before that."""
        row = torch.tensor([[self.eos, *labels]], device=self.network.device)
        state = self.network.start(1)
        if row.shape[1] > 1:
            _, state = self.network(row[:, :-1], state)
        return row[:, -1], state
