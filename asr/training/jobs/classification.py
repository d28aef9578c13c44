"""Train classifiers of utterances on manifests whose texts are the classes."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from asr.data import manifest
from asr.data.batch import SpeechBatch
from asr.evaluation.classification import predict
from asr.metrics import classification
from asr.models import card, store
from asr.tasks.classification import ClassificationTask
from asr.training.jobs._speech_data import SpeechDataJob
from asr.training.vocabularies import make_vocabulary
from asr.utils.options import check_choice

log = logging.getLogger(__name__)

MONITORS = {"auto": "dev_error", "error": "dev_error", "loss": "dev_loss"}
SAMPLES = 2  # misclassified utterances below an epoch's line


class ClassificationJob(SpeechDataJob):
    """Trains a classifier; see `asr.training.jobs.base.Job`."""

    task: ClassificationTask

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        monitor = config["trainer"]["monitor"]
        check_choice("trainer.monitor", monitor, MONITORS)
        self.monitor = MONITORS[monitor]
        # made now: classes that training data lack are an error before training, not after
        self.scored = {
            split: {name: self.dataset(cuts) for name, cuts in self.splits[split].items()} for split in ("dev", "test")
        }

    def make_task(self) -> ClassificationTask:
        """Build an untrained task whose classes are the texts of the training manifests."""
        return make_task(self.config, [manifest.text(cut) for cut in self.cuts("train")])

    def describe(self) -> None:
        """Log the size of data and network."""
        super().describe()
        log.info("network: %s weights, %d classes", card.millions(self.task), len(self.task.vocabulary))

    def dev_scorer(self) -> ConfusionSamples:
        """Return a collector of misclassified utterances."""
        return ConfusionSamples(self.task)

    def training_size(self) -> dict[str, float]:
        """Return hours of audio, and the mean length of an utterance, which sets a detector's window."""
        mean = sum(self.train_data.seconds) / len(self.train_data)
        return super().training_size() | {"mean_seconds": round(mean, 3)}

    def figures(self) -> dict[str, Any]:
        """Compute, log and return accuracy, recall and confusions on every dev and test manifest."""
        figures: dict[str, Any] = {}
        for split, sets in self.scored.items():
            for name, data in sets.items():
                predicted = predict(self.task, data, self.config["data"]["seconds"])
                figures.setdefault(split, {})[name] = summary = classification.summary(*predicted)
                log.info("%s: %s", card.set_name(split, name), classification.line(summary))
        return figures

    def card(self, figures: Mapping[str, Any]) -> str:
        """Return the model card."""
        task, names = self.task, self.task.vocabulary.tokens
        rows = []
        for name, row in card.named_sets(figures):
            worst = ", ".join(f"{ref} for {hyp} ({count})" for ref, hyp, count in row["confusions"][:3])
            rows.append([name, row["utterances"], row["errors"], card.percent(row, "accuracy"), worst])
        return card.model_card(
            self.config,
            figures,
            description=f"classifier of utterances, {self.config['features']['type']} features, "
            f"{card.millions(task)} weights, "
            f"{task.pooling.kind} pooling, {len(names)} classes: {', '.join(names)}",
            data=f"{figures['training']['hours_of_audio']} hours of audio",
            header=["set", "utterances", "errors", "accuracy %", "most frequent confusions"],
            rows=rows,
            command="asr classify FILES --model THIS_DIRECTORY",
        )


class ConfusionSamples:
    """Shows misclassified dev utterances; an `asr.training.module.DevScorer`."""

    def __init__(self, task: ClassificationTask) -> None:
        self.task = task
        self.lines: list[str] = []

    def add(self, batch: SpeechBatch, predictions: Tensor) -> None:
        """Add the predicted classes (N,) of a batch."""
        names = self.task.vocabulary.tokens
        classes = batch.targets[self.task.primary].labels
        for id, ref, hyp in zip(batch.ids, classes.tolist(), predictions.tolist(), strict=True):
            if ref != hyp and len(self.lines) < SAMPLES:
                self.lines.append(f"{id}: {names[ref]} classified as {names[hyp]}")

    def figures(self) -> dict[str, float]:
        """Return nothing: the error rate is a mean of `Validation`."""
        return {}

    def samples(self) -> list[str]:
        """Return a line per misclassified utterance, `SAMPLES` at most."""
        return self.lines


def make_task(config: Mapping[str, Any], texts: Sequence[str]) -> ClassificationTask:
    """Build an untrained task whose classes are the distinct texts."""
    heads = config["task"].get("heads") or {}
    task = store.make_task(config, {name: make_vocabulary(name, heads[name], texts) for name in heads})
    assert isinstance(task, ClassificationTask)
    return task
