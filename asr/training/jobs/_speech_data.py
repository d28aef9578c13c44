"""What the jobs that train on manifests of speech share: datasets, batches, feature statistics."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lhotse import MonoCut
from torch import Tensor
from torch.utils.data import DataLoader

from asr.audio.perturbation import Perturbation
from asr.data import manifest, untranscribed
from asr.data.loader import ResumableLoader, usable_workers
from asr.data.sampler import BucketSampler, plan_batches
from asr.data.speech_dataset import SpeechDataset
from asr.errors import InputError
from asr.registry import build
from asr.tasks.speech_frontend import SpeechTask
from asr.training.jobs.base import Job

log = logging.getLogger(__name__)

STATISTICS_SECONDS = 2 * 3600.0  # training audio that feature statistics are estimated on


class SpeechDataJob(Job):
    """A job that trains on manifests of speech; a subclass builds the task."""

    task: SpeechTask

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        data = config["data"]
        self.splits = {split: read_split(data.get(split), split) for split in ("train", "dev", "test")}
        self.untranscribed = untranscribed.read(_paths(data.get("untranscribed")))
        self.task = self.make_task()
        options = {"type": "perturbation", **(data.get("perturbation") or {})}
        self.perturbation = build({"perturbation": Perturbation}, options, "data")
        self.train_data = self.dataset(self.cuts("train") + self.untranscribed)
        self.dev_data = self.dataset(self.cuts("dev"))

    @abstractmethod
    def make_task(self) -> SpeechTask:
        """Build an untrained task."""

    def cuts(self, split: str) -> list[MonoCut]:
        """Return the utterances of all manifests of a split."""
        return [cut for cuts in self.splits[split].values() for cut in cuts]

    def dataset(self, cuts: Sequence[MonoCut]) -> SpeechDataset:
        """Make a dataset with the labels of all heads, perturbed in training."""
        data = self.config["data"]
        return SpeechDataset(
            cuts,
            self.task.vocabularies,
            self.task.features.sample_rate,
            perturbation=self.perturbation,
            cache_hours=data["cache_hours"],
            skip_unknown=data.get("unknown_text") == "skip",
            seed=self.config["seed"],
            clean=bool(data.get("teacher")),
        )

    def fit_statistics(self) -> None:
        """Estimate mean and variance of the features on training data."""
        self.task.features.fit(statistics_batches(self.train_data))

    def describe(self) -> None:
        """Log the number of utterances and hours."""
        for name, data in (("train", self.train_data), ("dev", self.dev_data)):
            log.info("%s: %d utterances, %.2f h", name, len(data), sum(data.seconds) / 3600)

    def loaders(self, rank: int, world: int) -> tuple[ResumableLoader, DataLoader[Any]]:
        """Return the training batches of process ``rank`` of ``world``, and the dev batches."""
        data = self.config["data"]
        workers = usable_workers(data["workers"])
        sampler = BucketSampler(
            self.train_data.seconds,
            data["seconds"],
            max_utterances=data.get("utterances"),
            seed=self.config["seed"],
            rank=rank,
            world=world,
        )
        dev_loader = DataLoader(
            self.dev_data,
            # the longest batch first: what is too large for the memory fails at once
            batch_sampler=plan_batches(self.dev_data.seconds, data["seconds"])[::-1],
            collate_fn=self.dev_data.collate,
            num_workers=workers,
        )
        return ResumableLoader(self.train_data, sampler, workers), dev_loader

    def training_size(self) -> dict[str, float]:
        """Return the hours of audio."""
        seconds = sum(cut.duration for cut in self.cuts("train") + self.untranscribed)
        return {"hours_of_audio": round(seconds / 3600, 3)}


def read_split(manifests: Any, split: str) -> dict[str, list[MonoCut]]:
    """Read the cuts of each manifest of ``data.train``, ``data.dev`` or ``data.test``, by the manifest's name.

    Args:
        manifests: a path, a list of paths, or a mapping of names to paths; None for no test data.
        split: train, dev or test.

    Raises:
        InputError: no manifest is named, or one cannot be read.
    """
    if not isinstance(manifests, Mapping):
        paths = _paths(manifests)
        names = [Path(path).name.split(".")[0] for path in paths]
        manifests = dict(zip(names if len(set(names)) == len(names) else paths, paths, strict=True))
    if not manifests and split != "test":
        raise InputError(
            f"data.{split} names no manifest; `asr prepare folder RECORDINGS --output DIR --dev 10%` writes "
            "train.jsonl.gz and dev.jsonl.gz"
        )
    return {name: manifest.read(path) for name, path in manifests.items()}


def _paths(paths: str | Sequence[str] | None) -> list[str]:
    return [paths] if isinstance(paths, str) else list(paths or ())


def statistics_batches(dataset: SpeechDataset) -> Iterable[tuple[Tensor, Tensor]]:
    """Yield batches (inputs, lengths) spread over the training set, for the features' mean and variance."""
    step = max(1, int(sum(dataset.seconds) / STATISTICS_SECONDS))
    for indices in plan_batches(dataset.seconds, 600.0):
        if chosen := [index for index in indices if index % step == 0]:
            batch = dataset.collate([dataset[index] for index in chosen])
            yield batch.inputs, batch.lengths
