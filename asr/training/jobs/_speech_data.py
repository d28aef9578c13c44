"""Training on manifests of speech: what is read of them, and in which batches."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lhotse import MonoCut

from asr.audio.perturbation import Perturbation
from asr.data import manifest
from asr.data.loader import ResumableLoader
from asr.data.sampler import BucketSampler, plan_batches
from asr.data.speech_dataset import SpeechDataset
from asr.errors import InputError
from asr.registry import build

log = logging.getLogger(__name__)

STATISTICS_SECONDS = 2 * 3600.0  # of training audio that normalisation statistics are taken from


class ManifestJob:
    """The part of a `asr.training.run.Job` that all tasks have which learn from manifests of speech."""

    task: Any
    monitor: str

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        data = config["data"]
        self.splits = {split: read_split(data.get(split), split) for split in ("train", "dev", "test")}
        self.task = self.make_task()
        options = {"type": "perturbation", **(data.get("perturbation") or {})}
        self.perturbation = build({"perturbation": Perturbation}, options, "data")
        self.train_data = self.dataset(self.cuts("train"))
        self.dev_data = self.dataset(self.cuts("dev"))

    def make_task(self) -> Any:
        """An untrained task."""
        raise NotImplementedError

    def cuts(self, split: str) -> list[MonoCut]:
        """Utterances of all manifests of a split."""
        return [cut for cuts in self.splits[split].values() for cut in cuts]

    def dataset(self, cuts: Sequence[MonoCut]) -> SpeechDataset:
        """Utterances to train on."""
        return SpeechDataset(
            cuts,
            self.task.vocabularies,
            self.task.features.sample_rate,
            perturbation=self.perturbation,
            cache_hours=self.config["data"]["cache_hours"],
            seed=self.config["seed"],
        )

    def begin(self) -> None:
        """Take the mean and variance of the features from the training set."""
        self.task.features.fit(statistics_batches(self.train_data))

    def describe(self) -> None:
        """Log how much there is to train on."""
        for name, data in (("train", self.train_data), ("dev", self.dev_data)):
            log.info("%s: %d utterances, %.2f h", name, len(data), sum(data.seconds) / 3600)

    def loaders(self, rank: int, world: int) -> tuple[ResumableLoader, torch.utils.data.DataLoader[Any]]:
        """Batches to train on, for one of so many processes, and those of dev."""
        data = self.config["data"]
        sampler = BucketSampler(
            self.train_data.seconds,
            data["seconds"],
            max_utterances=data.get("utterances"),
            seed=self.config["seed"],
            rank=rank,
            world=world,
        )
        dev_loader = torch.utils.data.DataLoader(
            self.dev_data,
            # longest first: what does not fit in memory fails at once
            batch_sampler=plan_batches(self.dev_data.seconds, data["seconds"])[::-1],
            collate_fn=self.dev_data.collate,
            num_workers=data["workers"],
        )
        return ResumableLoader(self.train_data, sampler, data["workers"]), dev_loader

    def size(self) -> dict[str, float]:
        """How much there is to train on."""
        seconds = sum(cut.duration for cut in self.cuts("train"))
        return {"hours_of_audio": round(seconds / 3600, 3)}


def read_split(manifests: Any, split: str) -> dict[str, list[MonoCut]]:
    """Cuts of each named manifest of ``data.train``, ``data.dev`` or ``data.test`` (a path, a list or a mapping)."""
    if isinstance(manifests, str):
        manifests = [manifests]
    if not isinstance(manifests, Mapping):
        paths = list(manifests or ())
        names = [Path(path).name.split(".")[0] for path in paths]
        manifests = dict(zip(names if len(set(names)) == len(names) else paths, paths, strict=True))
    if not manifests and split != "test":
        raise InputError(f"data.{split} names no manifest (make some with `asr prepare`)")
    return {name: manifest.read(path) for name, path in manifests.items()}


def statistics_batches(dataset: SpeechDataset) -> Iterable[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of inputs spread over the training set, for the features' mean and variance."""
    step = max(1, int(sum(dataset.seconds) / STATISTICS_SECONDS))
    for indices in plan_batches(dataset.seconds, 600.0):
        if chosen := [index for index in indices if index % step == 0]:
            batch = dataset.collate([dataset[index] for index in chosen])
            yield batch.inputs, batch.lengths
