"""Training of speech recognisers: manifests to batches, and figures of what has been trained."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lhotse import MonoCut

from asr import model_dir
from asr.data import manifest
from asr.data.batch import Targets
from asr.data.sampler import BucketSampler, plan_batches
from asr.data.speech import Perturbation, ResumableLoader, SpeechDataset
from asr.decoder import GreedyDecoder, make_decoder
from asr.errors import InputError
from asr.evaluation.report import Report
from asr.registry import build
from asr.tasks.ctc import CTCTask
from asr.training import card
from asr.training.evaluate import evaluate, greedy_decoders
from asr.training.settings import monitored
from asr.training.speech_module import SpeechModule
from asr.training.vocabularies import make_vocabulary

log = logging.getLogger(__name__)

STATISTICS_SECONDS = 2 * 3600.0  # of training audio that normalisation statistics are taken from


class SpeechJob:
    """A CTC task and the manifests that it is trained and scored on: a `asr.training.run.Job`."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        data = config["data"]
        self.splits = {split: read_split(data.get(split), split) for split in ("train", "dev", "test")}
        train_cuts = [cut for cuts in self.splits["train"].values() for cut in cuts]
        dev_cuts = [cut for cuts in self.splits["dev"].values() for cut in cuts]
        self.task = make_task(config, train_cuts)
        options = {"type": "perturbation", **(data.get("perturbation") or {})}
        self.perturbation = build({"perturbation": Perturbation}, options, "data")
        self.decoders = make_decoders(config["decoder"], self.task)
        self.train_data = without_too_short(self.dataset(train_cuts), self.task, data["too_short"], self.dataset)
        self.dev_data = self.dataset(dev_cuts)
        self.monitor = monitored(config["trainer"]["monitor"], self.task, self.dev_data)

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
        """Log what is about to be trained, on what, and what some heads cannot use."""
        task = self.task
        for name, data in (("train", self.train_data), ("dev", self.dev_data)):
            log.info("%s: %d utterances, %.2f h", name, len(data), sum(data.seconds) / 3600)
        log.info("network: %s weights, a frame every %g ms", card.millions(task), 1000 * task.frame_seconds)
        for head, vocabulary in task.vocabularies.items():
            missing = sum(labels[head] is None for labels in self.train_data.labels)
            note = f"; {missing} training utterances have none and are left out of it" if missing else ""
            log.info("head %s: %d %s%s", head, len(vocabulary), vocabulary.kind, note)
            if missing == len(self.train_data):
                raise InputError(f"head {head}: no training utterance has {vocabulary.kind}")

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

    def module(self, batches: int) -> SpeechModule:
        """What trains the task in epochs of so many batches."""
        config = self.config
        noise = config["trainer"]["weight_noise"]
        return SpeechModule(self.task, config["optimizer"], config["seed"], self.monitor, batches, noise)

    def size(self) -> dict[str, float]:
        """How much there is to train on."""
        seconds = sum(cut.duration for cuts in self.splits["train"].values() for cut in cuts)
        return {"hours_of_audio": round(seconds / 3600, 3)}

    def figures(self) -> dict[str, Any]:
        """Error rates of every dev and test manifest, which are logged too."""
        figures: dict[str, Any] = {}
        for split in ("dev", "test"):
            for name, cuts in self.splits[split].items():
                reports: dict[str, Report] = {}
                for kind, used in self.decoders.items():
                    scoring = {head: decoder.scoring for head, decoder in used.items()}
                    data = SpeechDataset(cuts, scoring, self.task.features.sample_rate, encode=False)
                    found = evaluate(self.task, data, decoders=used, max_seconds=self.config["data"]["seconds"])
                    reports |= {head + kind: report for head, report in found.items()}
                figures.setdefault(split, {})[name] = {head: r.summary() for head, r in reports.items()}
                for head, report in reports.items():
                    log.info("%s %s, %s: %s", split, name, head, rates(report))
        return figures

    def card(self, figures: Mapping[str, Any]) -> str:
        """The model card."""
        return card.render(self.config, self.task, figures)


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


def make_task(config: Mapping[str, Any], train_cuts: Sequence[MonoCut]) -> CTCTask:
    """An untrained task whose vocabularies come from the configuration and, where it says so, the training texts."""
    heads = config["task"].get("heads") or {}
    if not heads:
        raise InputError("task.heads names no head")
    texts = [manifest.text(cut) for cut in train_cuts]
    phones = sorted({phone for cut in train_cuts for phone in (manifest.phones(cut) or "").split()})
    made = {name: make_vocabulary(name, options, texts, phones) for name, options in heads.items()}
    task = model_dir.make_task(config, made)
    assert isinstance(task, CTCTask)
    return task


def make_decoders(config: Mapping[str, Any], task: CTCTask) -> dict[str, dict[str, GreedyDecoder]]:
    """Decoders of heads, by what figures call them: the greedy ones of all heads, and that of the group ``decoder``."""
    options = dict(config)
    head = options.pop("head", None) or task.primary
    if head not in task.vocabularies:
        raise InputError(f"decoder.head={head} is not one of {', '.join(task.vocabularies)}")
    chosen = make_decoder(task.vocabularies[head], options)
    own = {} if options["type"] == "greedy" else {f", {options['type']}": {head: chosen}}
    return {"": greedy_decoders(task)} | own


def without_too_short(dataset: SpeechDataset, task: CTCTask, policy: str, remake: Any) -> SpeechDataset:
    """The dataset but for utterances with fewer frames than CTC needs, all of which are named in the log.

    ``policy`` is "skip", or "error" to stop. Raises InputError then, and when nothing is left.
    """
    if policy not in ("skip", "error"):
        raise InputError(f"data.too_short={policy!r} is not one of skip, error")
    frames = task.output_lengths(dataset.input_lengths())
    bad: dict[str, str] = {}
    for head in task.vocabularies:
        targets = Targets.of([labels[head] for labels in dataset.labels])
        needed = targets.frames_needed.clamp(min=1)
        for row, need in zip(targets.rows.tolist(), needed.tolist(), strict=True):
            if frames[row] < need:
                cut = dataset.cuts[row]
                bad[cut.id] = f"{cut.id} ({head}: {int(frames[row])} frames, {need} needed)"
    if bad:
        message = f"{len(bad)} of {len(dataset)} training utterances are too short for CTC: {'; '.join(bad.values())}"
        if policy == "error" or len(bad) == len(dataset):
            raise InputError(message + " (lower encoder.stride, or leave them out with data.too_short=skip)")
        log.warning("%s; they are left out", message)
        return remake([cut for cut in dataset.cuts if cut.id not in bad])
    return dataset


def statistics_batches(dataset: SpeechDataset) -> Iterable[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of inputs spread over the training set, for the features' mean and variance."""
    step = max(1, int(sum(dataset.seconds) / STATISTICS_SECONDS))
    for indices in plan_batches(dataset.seconds, 600.0):
        if chosen := [index for index in indices if index % step == 0]:
            batch = dataset.collate([dataset[index] for index in chosen])
            yield batch.inputs, batch.lengths


def rates(report: Report) -> str:
    """Error rates of a report on one line."""
    return ", ".join(
        f"{kind.upper()} {100 * counts.rate:.2f}% ({counts.errors} of {counts.reference})"
        for kind, counts in report.totals.items()
    )
