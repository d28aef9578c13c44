"""Training of classifiers of utterances: manifests whose texts are the classes."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from asr.data import manifest
from asr.data.batch import Batch
from asr.errors import InputError
from asr.evaluation.classification import told
from asr.metrics import classification
from asr.models import card, store
from asr.tasks.classification import ClassificationTask
from asr.training.jobs._speech_data import ManifestJob
from asr.training.module import TrainingModule
from asr.training.vocabularies import make_vocabulary

log = logging.getLogger(__name__)

MONITORS = {"auto": "dev_error", "error": "dev_error", "loss": "dev_loss"}
SAMPLES = 2  # of what was taken for something else, in an epoch's line


class ClassificationModule(TrainingModule):
    """Trains a classifier. Its samples are utterances of dev that it takes for another class."""

    task: ClassificationTask

    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        return self.task.loss(self.task(batch.inputs, batch.lengths), batch.targets[self.task.primary].labels), 0

    def on_validation_epoch_start(self) -> None:
        self.samples = []

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        classes = batch.targets[self.task.primary].labels
        log_probs = self.task(batch.inputs, batch.lengths)
        size = len(classes)
        self.log("dev_loss", self.task.loss(log_probs, classes), batch_size=size, sync_dist=True)
        found = log_probs.argmax(-1)
        self.log("dev_error", (found != classes).float().mean(), batch_size=size, sync_dist=True)
        names = self.task.vocabulary.tokens
        for id, said, heard in zip(batch.ids, classes.tolist(), found.tolist(), strict=True):
            if said != heard and len(self.samples) < SAMPLES:
                self.samples.append(f"{id}: {names[said]} taken for {names[heard]}")


class ClassificationJob(ManifestJob):
    """A classifier and the manifests that it is trained and scored on: a `asr.training.run.Job`."""

    task: ClassificationTask

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        if (monitor := config["trainer"]["monitor"]) not in MONITORS:
            raise InputError(f"trainer.monitor={monitor} is not one of {', '.join(MONITORS)}")
        self.monitor = MONITORS[monitor]
        # made now, as that finds classes which training does not have
        self.scored = {
            split: {name: self.dataset(cuts) for name, cuts in self.splits[split].items()} for split in ("dev", "test")
        }

    def make_task(self) -> ClassificationTask:
        """An untrained task whose classes are those of the training manifests."""
        return make_task(self.config, [manifest.text(cut) for cut in self.cuts("train")])

    def describe(self) -> None:
        """Log what is about to be trained, on what."""
        super().describe()
        classes = len(self.task.vocabulary)
        log.info("network: %s weights, %d classes", card.millions(self.task), classes)

    def module(self, batches: int) -> ClassificationModule:
        """What trains the task in epochs of so many batches."""
        config = self.config
        noise = config["trainer"]["weight_noise"]
        return ClassificationModule(self.task, config["optimizer"], config["seed"], self.monitor, batches, noise)

    def size(self) -> dict[str, float]:
        """How much there is to train on, and how long an utterance is, which a detector's window goes by."""
        return super().size() | {"mean_seconds": round(sum(self.train_data.seconds) / len(self.train_data), 3)}

    def figures(self) -> dict[str, Any]:
        """What the classifier makes of every dev and test manifest, which is logged too."""
        figures: dict[str, Any] = {}
        for split, sets in self.scored.items():
            for name, data in sets.items():
                pairs = told(self.task, data, self.config["data"]["seconds"])
                figures.setdefault(split, {})[name] = found = classification.summary(pairs)
                log.info("%s %s: %s", split, name, classification.line(found))
        return figures

    def card(self, figures: Mapping[str, Any]) -> str:
        """The model card."""
        return card.classification(self.config, self.task, figures)


def make_task(config: Mapping[str, Any], texts: Sequence[str]) -> ClassificationTask:
    """An untrained task whose classes are the distinct ones of these texts."""
    heads = config["task"].get("heads") or {}
    task = store.make_task(config, {name: make_vocabulary(name, heads[name], texts) for name in heads})
    assert isinstance(task, ClassificationTask)
    return task
