"""Train language models on text files."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import torch

from asr.data.text_stream import BPTTBatches
from asr.decoding.label.sampling import sample
from asr.evaluation.language import cross_entropy, dev_batches, encode_texts, line, read_split
from asr.models import card, store
from asr.tasks.language import LanguageTask
from asr.text.vocabulary import EOS
from asr.training.jobs.base import Job
from asr.training.vocabularies import make_vocabulary

log = logging.getLogger(__name__)

SAMPLE_LABELS = 100


class LanguageJob(Job):
    """Trains a language model by truncated backpropagation through time; see `asr.training.jobs.base.Job`."""

    monitor = "dev_loss"
    task: LanguageTask

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        data = config["data"]
        heads = config["task"].get("heads") or {}
        of_phones = any(options["kind"] == "phones" for options in heads.values())
        texts = {
            split: read_split(data.get(split), split, data["eos_after"], phones=of_phones)
            for split in ("train", "dev", "test")
        }
        phones = sorted({phone for text in texts["train"] for phone in text.split()}) if of_phones else ()
        vocabularies = {
            head: make_vocabulary(head, options, texts["train"], phones, (EOS,)) for head, options in heads.items()
        }
        task = store.make_task(config, vocabularies)
        assert isinstance(task, LanguageTask)
        self.task = task
        self.labels = {split: encode_texts(task, split_texts, f"data.{split}") for split, split_texts in texts.items()}
        self.characters = {split: sum(map(len, split_texts)) for split, split_texts in texts.items()}

    def describe(self) -> None:
        """Log the size of data and network."""
        for split, labels in self.labels.items():
            if len(labels) > 1:
                log.info("%s: %d labels of %d characters", split, len(labels) - 1, self.characters[split])
        log.info("network: %s weights, %d labels", card.millions(self.task), len(self.task.vocabulary))

    def loaders(self, rank: int, world: int) -> tuple[BPTTBatches, BPTTBatches]:
        """Return the training batches of process ``rank`` of ``world``, and the dev batches."""
        data, seed = self.config["data"], self.config["seed"]
        train = BPTTBatches(
            self.labels["train"], data["batch_size"], data["bptt"], shuffle=True, seed=seed, rank=rank, world=world
        )
        return train, dev_batches(self.labels["dev"], data["bptt"])

    def dev_scorer(self) -> TextSample:
        """Return what samples a text after each epoch."""
        return TextSample(self.task, self.config["seed"])

    def training_size(self) -> dict[str, float]:
        """Return the number of characters."""
        return {"characters": self.characters["train"]}

    def figures(self) -> dict[str, Any]:
        """Compute, log and return the cross entropy of dev and test text."""
        figures: dict[str, Any] = {}
        for split in ("dev", "test"):
            if len(self.labels[split]) > 1:
                bptt = self.config["data"]["bptt"]
                figures[split] = cross_entropy(self.task, self.labels[split], self.characters[split], bptt)
                log.info("%s: %s", split, line(figures[split]))
        return figures

    def card(self, figures: Mapping[str, Any]) -> str:
        """Return the model card."""
        rows = [
            [split, row["labels"], f"{row['nats_per_label']:.4f}", f"{row['bits_per_character']:.4f}"]
            for split, row in card.splits(figures)
        ]
        vocabulary = self.task.vocabulary
        return card.model_card(
            self.config,
            figures,
            description=f"language model, {card.millions(self.task)} weights, "
            f"{len(vocabulary)} labels ({vocabulary.kind})",
            data=f"{figures['training']['characters']} characters",
            header=["set", "labels", "nats per label", "bits per character"],
            rows=rows,
            command="asr generate THIS_DIRECTORY --prompt TEXT",
        )


class TextSample:
    """Samples a text that begins after <eos>, from the run's seed; an `asr.training.module.DevScorer`."""

    def __init__(self, task: LanguageTask, seed: int) -> None:
        self.task = task
        self.seed = seed

    def add(self, batch: Any, predictions: Any) -> None:
        """Ignore the batch: the loss is a mean of `Validation`."""

    def figures(self) -> dict[str, float]:
        """Return nothing."""
        return {}

    def samples(self) -> list[str]:
        """Sample the text."""
        generator = torch.Generator().manual_seed(self.seed)
        eos = self.task.eos
        (hypothesis,) = sample(self.task.network, 1, eos, eos, max_length=SAMPLE_LABELS, generator=generator)
        return [repr(self.task.vocabulary.decode(hypothesis.labels))]
