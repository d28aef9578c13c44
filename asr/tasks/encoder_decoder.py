"""What tasks have in common that read something and then write labels: captions, pronunciations, translations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from asr.decoding.hypothesis import Hypothesis
from asr.decoding.label import beam
from asr.decoding.label.beam import LabelBeamOptions
from asr.decoding.label.scorer import LabelScorer, ScorerEnsemble
from asr.errors import InputError
from asr.modules.label_rnn import LabelRNN, State
from asr.tasks.base import Task
from asr.text.vocabulary import SPECIALS, Vocabulary
from asr.utils.masks import length_mask

SEARCHES = {"beam": LabelBeamOptions}


class WritingTask(Task):
    """An input is read, then a label RNN writes; ``<eos>`` stands before the first label and behind the last.

    A subclass says how inputs are read: `read`. Those are a tensor whose first dimension is the batch's, and lengths
    (N,), of what is padded. The first of ``vocabularies`` is what is written. ``smoothing`` is the share of the
    probability that the training loss wants for all labels alike (Szegedy et al. 2016, arXiv 1512.00567, section 7);
    ``options`` is how `search` searches where nothing else is said. ``samples``: how many sequences training
    draws for each input to make the good ones among them likelier; 0: it makes those that people wrote likelier.
    """

    def __init__(
        self,
        vocabularies: Mapping[str, Vocabulary],
        network: LabelRNN,
        *,
        options: LabelBeamOptions | None = None,
        smoothing: float = 0.0,
        samples: int = 0,
    ) -> None:
        super().__init__()
        self.vocabularies = dict(vocabularies)
        if (eos := self.vocabulary.eos) is None:
            raise InputError(f"the vocabulary that is written ({self.primary}) needs the label <eos>")
        if not 0 <= smoothing < 1:
            raise InputError(f"smoothing={smoothing}: use a number from 0 to below 1")
        if not isinstance(samples, int) or samples < 0 or samples == 1:
            raise InputError(f"samples={samples!r}: use 0, or 2 and more, which are compared with each other")
        self.eos = eos
        self.network = network
        self.options = options or LabelBeamOptions()
        self.smoothing = smoothing
        self.samples = samples

    @property
    def never(self) -> tuple[int, ...]:
        """Labels that are not written: special ones, unknown among them."""
        special = (label for label, token in enumerate(self.vocabulary.tokens) if token in SPECIALS)
        return tuple(label for label in special if label != self.eos)

    def read(self, inputs: Tensor, lengths: Tensor) -> State:
        """The label RNN's state before the first label, of inputs (N, …) of such lengths (N,)."""
        raise NotImplementedError

    def forward(self, inputs: Tensor, lengths: Tensor, labels: Tensor) -> Tensor:
        """Log-probabilities (N, U, V) of what follows each of ``labels`` (N, U), the first of which is <eos>."""
        return self.network(labels, self.read(inputs, lengths))[0]

    def loss(self, inputs: Tensor, lengths: Tensor, labels: Tensor, ends: Tensor) -> Tensor:
        """Mean nats a label of ``labels`` (N, U + 1), padded, each row's first left out; ``ends`` (N,) more count."""
        log_probs = self(inputs, lengths, labels[:, :-1])
        counts = length_mask(ends, log_probs.shape[1]).to(log_probs.device)
        chosen, wanted = log_probs[counts], labels[:, 1:][counts]
        nats = F.nll_loss(chosen, wanted)
        smoothing = self.smoothing if self.training else 0.0
        return nats if not smoothing else (1 - smoothing) * nats - smoothing * chosen.mean()


class Reader:
    """A task's label RNN that has read inputs: an `asr.decoding.label.scorer.AttentiveScorer` of so many rows.

    There are ``each`` rows an input, one after the other.
    """

    def __init__(self, task: WritingTask, inputs: Tensor, lengths: Tensor, each: int = 1) -> None:
        self.network = task.network
        self.rows = len(inputs) * each
        self._state = task.read(inputs, lengths)
        if each > 1:
            rows = torch.arange(len(inputs), device=self.device).repeat_interleave(each)
            self._state = self.network.select(self._state, rows)

    @property
    def device(self) -> torch.device:
        return self.network.device

    def start(self, rows: int) -> State:
        if rows != self.rows:
            raise InputError(f"{rows} rows, where {self.rows} inputs have been read")
        return self._state

    def step(self, state: State, labels: Tensor) -> tuple[Tensor, State]:
        return self.network.step(state, labels)

    def select(self, state: State, rows: Tensor) -> State:
        return self.network.select(state, rows)

    def attention(self, state: State) -> Tensor:
        return self.network.attention(state)


@torch.inference_mode()
def search(
    tasks: Sequence[WritingTask], inputs: Tensor, lengths: Tensor, options: LabelBeamOptions | None = None
) -> list[list[Hypothesis]]:
    """The n best label sequences for each input; several tasks of the same vocabulary are an ensemble.

    ``options``: None for those of the first task.
    Special labels, unknown among them, are never written.
    """
    first = tasks[0]
    if any(task.vocabulary.tokens != first.vocabulary.tokens for task in tasks[1:]):
        raise InputError("models that write together must have the same vocabulary")
    options = options or first.options
    options = replace(options, forbidden=(*options.forbidden, *first.never))
    readers = [Reader(task.eval(), inputs, lengths) for task in tasks]
    scorer: LabelScorer = readers[0] if len(readers) == 1 else ScorerEnsemble(readers)
    return beam.search(scorer, len(inputs), first.eos, first.eos, options)
