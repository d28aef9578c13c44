"""The LightningModule of tasks that read something and write labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from asr.data.batch import pad
from asr.data.loader import ResumableLoader
from asr.data.pairs import Seq2SeqBatch
from asr.data.sampler import BucketSampler, plan_batches
from asr.decoding.label import sampling
from asr.decoding.label.sampling import Sampling
from asr.modules.dropout import Dropout
from asr.tasks.encoder_decoder import Reader, WritingTask, search
from asr.training.module import TrainingModule
from asr.utils.masks import length_mask

Measure = Callable[[Sequence[str], Sequence[Sequence[str]]], Mapping[str, float]]
Reward = Callable[[Sequence[str], Sequence[str]], Sequence[float]]


def loaders(
    train: Any, dev: Any, labels: int, seed: int, rank: int, world: int, each: int = 1
) -> tuple[ResumableLoader, DataLoader[Any]]:
    """Batches of at most so many labels, with padding: to train on, for one of so many processes, and those of dev.

    The datasets have ``sizes``, in labels, and a ``collate``; of training examples there are ``each`` times as many.
    """
    sampler = BucketSampler([each * size for size in train.sizes], labels, seed=seed, rank=rank, world=world)
    dev_loader = DataLoader(dev, batch_sampler=plan_batches(dev.sizes, labels), collate_fn=dev.collate)
    return ResumableLoader(train, sampler), dev_loader


class WritingModule(TrainingModule):
    """Trains a `WritingTask`; its samples are two of dev: what is right, and what the greedy search writes.

    ``measure`` gives figures by name of what was written and all that is right for each; they are logged with ``dev_``
    before their names. ``reward`` says how good each of several sequences for one input is, of them and of all that is
    right; it counts where the task wants samples (`reward_loss`).
    """

    task: WritingTask

    def __init__(
        self,
        task: WritingTask,
        optimizer: Mapping[str, Any],
        *args: Any,
        measure: Measure,
        reward: Reward,
        **options: Any,
    ) -> None:
        super().__init__(task, optimizer, *args, **options)
        self.measure = measure
        self.reward = reward
        self.written: list[tuple[str, str, Sequence[str]]] = []

    def loss(self, batch: Seq2SeqBatch) -> tuple[Tensor, int]:
        if self.task.samples:
            loss, reward = reward_loss(self.task, batch, self.reward)
            self.log("train_reward", reward, on_step=True, on_epoch=True, batch_size=len(batch.ids))
            return loss, 0
        return self.task.loss(batch.inputs, batch.lengths, batch.labels, batch.ends), 0

    def on_validation_epoch_start(self) -> None:
        self.written = []

    def validation_step(self, batch: Seq2SeqBatch, batch_idx: int) -> None:
        loss = self.task.loss(batch.inputs, batch.lengths, batch.labels, batch.ends)
        self.log("dev_loss", loss, batch_size=int(batch.ends.sum()), sync_dist=True)
        greedy = replace(self.task.options, beam=1, nbest=1, coverage=0.0)
        found = search([self.task], batch.inputs, batch.lengths, greedy)
        texts = [self.task.vocabulary.decode(best.labels) for best, *_ in found]
        self.written += zip(batch.ids, texts, batch.references, strict=True)

    def on_validation_epoch_end(self) -> None:
        ids, texts, references = zip(*sorted(self.written), strict=True)
        for name, value in self.measure(texts, references).items():
            self.log(f"dev_{name}", value, sync_dist=True)
        step = max(len(ids) // 2, 1)
        two = list(zip(ids, texts, references, strict=True))[::step][:2]
        self.samples = [line for id, text, right in two for line in (f"{id}: {right[0]}", f"{' ' * len(id)}  {text}")]


class WritingJob:
    """What the jobs of such tasks share: `measure` and `reward`, which a subclass defines, are `WritingModule`'s."""

    config: Mapping[str, Any]
    task: Any  # the subclass says which
    monitor: str

    def module(self, batches: int) -> WritingModule:
        """What trains the task in epochs of so many batches."""
        config = self.config
        noise = config["trainer"]["weight_noise"]
        numbers = (config["optimizer"], config["seed"], self.monitor, batches, noise)
        return WritingModule(self.task, *numbers, measure=self.measure, reward=self.reward)

    def measure(self, written: Sequence[str], references: Sequence[Sequence[str]]) -> Mapping[str, float]:
        """The dev figures of what was written for each input, and all that is right."""
        raise NotImplementedError

    def reward(self, found: Sequence[str], right: Sequence[str]) -> Sequence[float]:
        """How good each of several sequences for one input is."""
        raise NotImplementedError


def reward_loss(task: WritingTask, batch: Seq2SeqBatch, reward: Reward) -> tuple[Tensor, float]:
    """A loss whose gradient is that of the expected reward, downwards; and the mean reward.

    REINFORCE: of each input ``task.samples`` sequences are drawn, and each one's log-probability counts by how much
    better it is than the mean of the others (Kool et al. 2019, "Buy 4 REINFORCE samples, get a baseline for free!").
    With CIDEr-D as reward that is self-critical training (Rennie et al. 2017, arXiv 1612.00563) with another baseline;
    with errors, minimum word error rate training (Prabhavalkar et al. 2018, arXiv 1712.01818) with drawn hypotheses.
    Without dropout: sequences that another network has drawn would be made ever less likely. Divided by the labels
    drawn, as `loss` is.
    """
    each, most = task.samples, task.options.max_length
    task.eval()
    with torch.inference_mode():
        reader = Reader(task, batch.inputs, batch.lengths, each)
        options = Sampling(forbidden=task.never)
        drawn = sampling.sample(reader, reader.rows, task.eos, task.eos, options, max_length=most)
    task.train()  # cuDNN wants it for the gradient
    for module in task.modules():
        if isinstance(module, Dropout):
            module.eval()
    texts = [task.vocabulary.decode(hypothesis.labels) for hypothesis in drawn]
    rewards = torch.tensor(
        [reward(texts[each * row : each * row + each], right) for row, right in enumerate(batch.references)]
    )
    better = (rewards - rewards.mean(1, keepdim=True)) * each / (each - 1)  # than the mean of the others

    end = torch.tensor([task.eos])
    labels, _ = pad([torch.cat([end, torch.tensor(h.labels, dtype=torch.long), end]) for h in drawn])
    # one that was cut off has no end
    ends = torch.tensor([min(len(hypothesis.labels) + 1, most) for hypothesis in drawn])
    labels = labels.to(task.network.device)
    state = Reader(task, batch.inputs, batch.lengths, each).start(len(drawn))
    log_probs = task.network(labels[:, :-1], state)[0].gather(2, labels[:, 1:, None])[..., 0]
    counts = length_mask(ends, log_probs.shape[1]).to(log_probs.device)
    of_each = log_probs.masked_fill(~counts, 0).sum(1)
    task.train()
    loss = -(better.flatten().to(of_each) * of_each).sum() / int(ends.sum())
    return loss, float(rewards.mean())
