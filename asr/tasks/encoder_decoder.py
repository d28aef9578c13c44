"""Encoder-decoder tasks: an input is encoded, a label RNN generates the output (captions, pronunciations)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from asr.data.batch import pad
from asr.data.pairs import Seq2SeqBatch
from asr.decoding.hypothesis import Hypothesis
from asr.decoding.label import beam
from asr.decoding.label.beam import LabelBeamOptions
from asr.decoding.label.sampling import Sampling, sample
from asr.decoding.label.scorer import LabelScorer, ScorerEnsemble
from asr.errors import InputError
from asr.modules.dropout import Dropout
from asr.modules.label_rnn import LabelRNN, State
from asr.tasks.base import Loss, Task, Validation
from asr.text.vocabulary import SPECIALS, Vocabulary
from asr.utils.masks import length_mask

Reward = Callable[[Sequence[str], Sequence[str]], Sequence[float]]  # of hypotheses, given all references


class EncoderDecoderTask(Task):
    """A task whose label RNN generates an output sequence from an encoded input.

    ``<eos>`` stands before the first label and after the last. A subclass implements `encode_state`.

    Args:
        vocabularies: by head; the first one is the output's and has the label <eos>.
        network: the label RNN.
        options: default options of `search`.
        label_smoothing: share of the target probability that is spread evenly over all labels, in the training loss
            only (Szegedy et al. 2016, arXiv 1512.00567, section 7); 0 to below 1.
        samples: sequences sampled per input for training by reward (`reward_loss`); 0 trains by maximum likelihood.

    Attributes:
        reward: scores sampled sequences; must be set before training with ``samples``.

    Raises:
        InputError: the output vocabulary lacks <eos>, or a number is out of range.
    """

    def __init__(
        self,
        vocabularies: Mapping[str, Vocabulary],
        network: LabelRNN,
        *,
        options: LabelBeamOptions | None = None,
        label_smoothing: float = 0.0,
        samples: int = 0,
    ) -> None:
        super().__init__()
        self.vocabularies = dict(vocabularies)
        if (eos := self.vocabulary.eos) is None:
            raise InputError(f"the output vocabulary ({self.primary}) needs the label <eos>")
        if not 0 <= label_smoothing < 1:
            raise InputError(f"label_smoothing={label_smoothing}: use a number from 0 to below 1")
        if not isinstance(samples, int) or samples < 0 or samples == 1:
            raise InputError(f"samples={samples!r}: use 0, or 2 and more, which are compared with each other")
        self.eos = eos
        self.network = network
        self.options = options or LabelBeamOptions()
        self.label_smoothing = label_smoothing
        self.samples = samples
        self.reward: Reward | None = None

    @property
    def suppressed_labels(self) -> tuple[int, ...]:
        """Labels that are never generated: the special ones, <unk> among them, except <eos>."""
        special = (label for label, token in enumerate(self.vocabulary.tokens) if token in SPECIALS)
        return tuple(label for label in special if label != self.eos)

    def encode_state(self, inputs: Tensor, lengths: Tensor) -> State:
        """Return the label RNN's state before the first label, for inputs (N, …) of ``lengths`` (N,)."""
        raise NotImplementedError

    def forward(self, inputs: Tensor, lengths: Tensor, labels: Tensor) -> Tensor:
        """Return log-probabilities (N, U, V) of the label after each of ``labels`` (N, U), which begin with <eos>."""
        return self.network(labels, self.encode_state(inputs, lengths))[0]

    def loss(self, inputs: Tensor, lengths: Tensor, labels: Tensor, ends: Tensor) -> Tensor:
        """Return the mean cross entropy in nats per label, with label smoothing in training mode.

        Args:
            inputs: (N, …), padded.
            lengths: (N,) of each input.
            labels: (N, U + 1), padded; each row begins with <eos>, which is not scored.
            ends: (N,) labels of each row that are scored.
        """
        log_probs = self(inputs, lengths, labels[:, :-1])
        counts = length_mask(ends, log_probs.shape[1]).to(log_probs.device)
        chosen, targets = log_probs[counts], labels[:, 1:][counts]
        nats = F.nll_loss(chosen, targets)
        smoothing = self.label_smoothing if self.training else 0.0
        return nats if not smoothing else (1 - smoothing) * nats - smoothing * chosen.mean()

    def training_loss(self, batch: Seq2SeqBatch) -> Loss:
        """Compute `loss`, or with ``samples`` the `reward_loss`."""
        if self.samples:
            return reward_loss(self, batch)
        return Loss(self.loss(batch.inputs, batch.lengths, batch.labels, batch.ends))

    def validation_step(self, batch: Seq2SeqBatch) -> Validation:
        """Compute `loss` and the text that greedy search generates for each input."""
        loss = self.loss(batch.inputs, batch.lengths, batch.labels, batch.ends)
        greedy = replace(self.options, beam=1, nbest=1, coverage=0.0)
        hypotheses = search([self], batch.inputs, batch.lengths, greedy)
        texts = [self.vocabulary.decode(best.labels) for best, *_ in hypotheses]
        return Validation({"dev_loss": (loss, int(batch.ends.sum()))}, texts)


class ConditionedScorer:
    """A task's label RNN conditioned on encoded inputs, as an `asr.decoding.label.scorer.AttentiveScorer`.

    Args:
        task: whose label RNN scores.
        inputs: (N, …), padded.
        lengths: (N,) of each input.
        samples_per_input: rows per input, next to each other.
    """

    def __init__(self, task: EncoderDecoderTask, inputs: Tensor, lengths: Tensor, samples_per_input: int = 1) -> None:
        self.network = task.network
        self.rows = len(inputs) * samples_per_input
        self._state = task.encode_state(inputs, lengths)
        if samples_per_input > 1:
            rows = torch.arange(len(inputs), device=self.device).repeat_interleave(samples_per_input)
            self._state = self.network.select(self._state, rows)

    @property
    def device(self) -> torch.device:
        """Device of the label RNN."""
        return self.network.device

    def start(self, rows: int) -> State:
        """Return the state before the first label. Raises InputError for another number of rows than encoded."""
        if rows != self.rows:
            raise InputError(f"{rows} rows for {self.rows} encoded inputs")
        return self._state

    def step(self, state: State, labels: Tensor) -> tuple[Tensor, State]:
        """Return log-probabilities (R, V) of the label after ``labels`` (R,), and the next state."""
        return self.network.step(state, labels)

    def select(self, state: State, rows: Tensor) -> State:
        """Return the state of ``rows`` (R',)."""
        return self.network.select(state, rows)

    def attention(self, state: State) -> Tensor:
        """Return the accumulated attention weights (R, S)."""
        return self.network.attention(state)


@torch.inference_mode()
def search(
    tasks: Sequence[EncoderDecoderTask], inputs: Tensor, lengths: Tensor, options: LabelBeamOptions | None = None
) -> list[list[Hypothesis]]:
    """Search the n best label sequences for each input, by one task or an ensemble.

    Args:
        tasks: of one vocabulary; their log-probabilities are averaged.
        inputs: (N, …), padded.
        lengths: (N,) of each input.
        options: None takes those of the first task. Special labels are suppressed in any case.

    Raises:
        InputError: the tasks have different vocabularies.
    """
    first = tasks[0]
    if any(task.vocabulary.tokens != first.vocabulary.tokens for task in tasks[1:]):
        raise InputError("the models of an ensemble must have the same vocabulary")
    options = options or first.options
    options = replace(options, forbidden=(*options.forbidden, *first.suppressed_labels))
    scorers = [ConditionedScorer(task.eval(), inputs, lengths) for task in tasks]
    scorer: LabelScorer = scorers[0] if len(scorers) == 1 else ScorerEnsemble(scorers)
    return beam.search(scorer, len(inputs), first.eos, first.eos, options)


def reward_loss(task: EncoderDecoderTask, batch: Seq2SeqBatch) -> Loss:
    """Compute a loss whose gradient is the negative gradient of the expected reward.

    REINFORCE: ``task.samples`` sequences are sampled for each input, and each one's log-probability is weighted by its
    reward minus the mean reward of the others (Kool et al. 2019, "Buy 4 REINFORCE samples, get a baseline for free!").
    With CIDEr-D as reward this is self-critical training (Rennie et al. 2017, arXiv 1612.00563) with another baseline;
    with errors, minimum word error rate training (Prabhavalkar et al. 2018, arXiv 1712.01818) with sampled hypotheses.
    Dropout is off: sequences sampled from another network would become ever less probable. The sum is divided by the
    number of sampled labels, as in `EncoderDecoderTask.loss`.

    Raises:
        InputError: ``task.reward`` is not set.
    """
    if task.reward is None:
        raise InputError("training with samples needs a reward (task.reward)")
    each, max_length = task.samples, task.options.max_length
    task.eval()
    with torch.inference_mode():
        scorer = ConditionedScorer(task, batch.inputs, batch.lengths, each)
        options = Sampling(forbidden=task.suppressed_labels)
        sampled = sample(scorer, scorer.rows, task.eos, task.eos, options, max_length=max_length)
    task.train()  # cuDNN's RNNs compute gradients in training mode only
    for module in task.modules():
        if isinstance(module, Dropout):
            module.eval()
    texts = [task.vocabulary.decode(hypothesis.labels) for hypothesis in sampled]
    rewards = torch.tensor(
        [task.reward(texts[each * row : each * row + each], right) for row, right in enumerate(batch.references)]
    )  # (N, samples)
    advantage = (rewards - rewards.mean(1, keepdim=True)) * each / (each - 1)  # over the mean of the others

    end = torch.tensor([task.eos])
    labels, _ = pad([torch.cat([end, torch.tensor(h.labels, dtype=torch.long), end]) for h in sampled])
    # a sequence that was cut off at the maximal length has no end
    ends = torch.tensor([min(len(hypothesis.labels) + 1, max_length) for hypothesis in sampled])
    labels = labels.to(task.network.device)
    state = ConditionedScorer(task, batch.inputs, batch.lengths, each).start(len(sampled))
    log_probs = task.network(labels[:, :-1], state)[0].gather(2, labels[:, 1:, None])[..., 0]  # (N * samples, U)
    counts = length_mask(ends, log_probs.shape[1]).to(log_probs.device)
    sequence_log_probs = log_probs.masked_fill(~counts, 0).sum(1)
    task.train()
    loss = -(advantage.flatten().to(sequence_log_probs) * sequence_log_probs).sum() / int(ends.sum())
    return Loss(loss, {"train_reward": float(rewards.mean())})
