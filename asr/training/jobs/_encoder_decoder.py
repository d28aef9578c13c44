"""What the jobs of encoder-decoder tasks share: batches, dev scores of generated texts, rewards."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch.utils.data import DataLoader

from asr.data.loader import ResumableLoader
from asr.data.pairs import Seq2SeqBatch
from asr.data.sampler import BucketSampler, plan_batches
from asr.tasks.encoder_decoder import EncoderDecoderTask
from asr.training.jobs.base import Job

Measure = Callable[[Sequence[str], Sequence[Sequence[str]]], Mapping[str, float]]


class EncoderDecoderJob(Job):
    """A job whose task generates texts; a subclass says how they are scored and rewarded."""

    task: EncoderDecoderTask

    @abstractmethod
    def measure(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Mapping[str, float]:
        """Return the dev figures by name for the text generated for each input and all its references."""

    @abstractmethod
    def reward(self, hypotheses: Sequence[str], references: Sequence[str]) -> Sequence[float]:
        """Return the reward of each of several texts sampled for one input, given all its references."""

    def dev_scorer(self) -> GeneratedTexts:
        """Return a scorer of generated texts by `measure`."""
        return GeneratedTexts(self.measure)

    def text_loaders(self, train: Any, dev: Any, rank: int, world: int) -> tuple[ResumableLoader, DataLoader[Any]]:
        """Return the training and the dev batches, of at most ``data.labels`` labels with padding.

        Args:
            train: dataset with ``sizes`` (labels of each example) and ``collate``. An example counts once for each
                sequence that is sampled for it.
            dev: likewise.
            rank: number of this process, from 0.
            world: number of processes.
        """
        labels, seed = self.config["data"]["labels"], self.config["seed"]
        sizes = [max(self.task.samples, 1) * size for size in train.sizes]
        sampler = BucketSampler(sizes, labels, seed=seed, rank=rank, world=world)
        dev_loader = DataLoader(dev, batch_sampler=plan_batches(dev.sizes, labels), collate_fn=dev.collate)
        return ResumableLoader(train, sampler), dev_loader


class GeneratedTexts:
    """Dev figures of the texts that greedy search generates; an `asr.training.module.DevScorer`."""

    def __init__(self, measure: Measure) -> None:
        self.measure = measure
        self.rows: list[tuple[str, str, Sequence[str]]] = []  # id, hypothesis, references

    def add(self, batch: Seq2SeqBatch, predictions: Sequence[str]) -> None:
        """Add the generated texts of a batch."""
        self.rows += zip(batch.ids, predictions, batch.references, strict=True)

    def figures(self) -> dict[str, float]:
        """Return the figures of `EncoderDecoderJob.measure`, with "dev_" before their names."""
        _, hypotheses, references = zip(*sorted(self.rows), strict=True)
        return {f"dev_{name}": value for name, value in self.measure(hypotheses, references).items()}

    def samples(self) -> list[str]:
        """Return the first reference and the hypothesis of two inputs."""
        rows = sorted(self.rows)
        step = max(len(rows) // 2, 1)
        return [
            line
            for id, hypothesis, references in rows[::step][:2]
            for line in (f"{id}: {references[0]}", f"{' ' * len(id)}  {hypothesis}")
        ]
