"""The LightningModule of tasks that read something and write labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader

from asr.data.pairs import WritingBatch
from asr.data.sampler import BucketSampler, plan_batches
from asr.data.speech import ResumableLoader
from asr.tasks.writing import WritingTask, search
from asr.training.module import TrainingModule

Measure = Callable[[Sequence[str], Sequence[Sequence[str]]], Mapping[str, float]]


def loaders(
    train: Any, dev: Any, labels: int, seed: int, rank: int, world: int
) -> tuple[ResumableLoader, DataLoader[Any]]:
    """Batches of at most so many labels, with padding: to train on, for one of so many processes, and those of dev.

    The datasets have ``sizes``, in labels, and a ``collate``.
    """
    sampler = BucketSampler(train.sizes, labels, seed=seed, rank=rank, world=world)
    dev_loader = DataLoader(dev, batch_sampler=plan_batches(dev.sizes, labels), collate_fn=dev.collate)
    return ResumableLoader(train, sampler), dev_loader


class WritingModule(TrainingModule):
    """Trains a `WritingTask`; its samples are two of dev: what is right, and what the greedy search writes.

    ``measure`` gives figures by name of what was written and all that is right for each; they are logged with ``dev_``
    before their names.
    """

    task: WritingTask

    def __init__(
        self, task: WritingTask, optimizer: Mapping[str, Any], *args: Any, measure: Measure, **options: Any
    ) -> None:
        super().__init__(task, optimizer, *args, **options)
        self.measure = measure
        self.written: list[tuple[str, str, Sequence[str]]] = []

    def loss(self, batch: WritingBatch) -> tuple[Tensor, int]:
        return self.task.loss(batch.inputs, batch.lengths, batch.labels, batch.ends), 0

    def on_validation_epoch_start(self) -> None:
        self.written = []

    def validation_step(self, batch: WritingBatch, batch_idx: int) -> None:
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
