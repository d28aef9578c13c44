"""Training of language models: text to streams, and what a model makes of text that it has not seen."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from asr.data.text_stream import BPTTBatches, StreamBatch
from asr.decoding.label.sampling import sample
from asr.evaluation.language import encoded, line, pieces, streams, surprise
from asr.models import card, store
from asr.modules.label_rnn import State
from asr.tasks.language import LanguageTask
from asr.text.vocabulary import EOS
from asr.training.module import TrainingModule
from asr.training.vocabularies import make_vocabulary

log = logging.getLogger(__name__)


class LanguageModule(TrainingModule):
    """Trains a language model by truncated backpropagation through time; its sample is what it writes after <eos>."""

    task: LanguageTask

    def __init__(self, task: LanguageTask, optimizer: Mapping[str, Any], *args: Any, **options: Any) -> None:
        super().__init__(task, optimizer, *args, **options)
        self.state: State | None = None
        self.dev_state: State | None = None

    def loss(self, batch: StreamBatch) -> tuple[Tensor, int]:
        loss, self.state = self.task.loss(batch.labels, self.state if batch.number else None)
        return loss, 0

    def validation_step(self, batch: StreamBatch, batch_idx: int) -> None:
        loss, self.dev_state = self.task.loss(batch.labels, self.dev_state if batch.number else None)
        self.log("dev_loss", loss, batch_size=batch.labels[:, 1:].numel(), sync_dist=True)

    def on_validation_epoch_end(self) -> None:
        generator = torch.Generator().manual_seed(self.seed)
        eos = self.task.eos
        (written,) = sample(self.task.network, 1, eos, eos, max_length=100, generator=generator)
        self.samples = [repr(self.task.vocabulary.decode(written.labels))]

    # the state behind the last batch is a part of what a resumed run has to know

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["state"] = None if self.state is None else [list(hidden) for hidden in self.state.layers]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if (layers := checkpoint.get("state")) is not None:
            self.state = State(tuple(map(tuple, layers)))


class LanguageJob:
    """A language model and its text: a `asr.training.run.Job`."""

    monitor = "dev_loss"

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        data = config["data"]
        texts = {split: pieces(data.get(split), split, data["pieces"]) for split in ("train", "dev", "test")}
        heads = config["task"].get("heads") or {}
        made = {
            head: make_vocabulary(head, options, texts["train"], specials=(EOS,)) for head, options in heads.items()
        }
        task = store.make_task(config, made)
        assert isinstance(task, LanguageTask)
        self.task = task
        self.labels = {split: encoded(task, text, f"data.{split}") for split, text in texts.items()}
        self.characters = {split: sum(map(len, text)) for split, text in texts.items()}

    def begin(self) -> None:
        """Nothing has to be known before the first step."""

    def describe(self) -> None:
        """Log what is about to be trained, on what."""
        for split, labels in self.labels.items():
            if len(labels) > 1:
                log.info("%s: %d labels of %d characters", split, len(labels) - 1, self.characters[split])
        log.info("network: %s weights, %d labels", card.millions(self.task), len(self.task.vocabulary))

    def loaders(self, rank: int, world: int) -> tuple[BPTTBatches, BPTTBatches]:
        """Batches to train on, for one of so many processes, and those of dev."""
        data = self.config["data"]
        train = BPTTBatches(
            self.labels["train"],
            data["rows"],
            data["steps"],
            shuffle=True,
            seed=self.config["seed"],
            rank=rank,
            world=world,
        )
        return train, streams(self.labels["dev"], data["steps"])

    def module(self, batches: int) -> LanguageModule:
        """What trains the task in epochs of so many batches."""
        config = self.config
        noise = config["trainer"]["weight_noise"]
        return LanguageModule(self.task, config["optimizer"], config["seed"], self.monitor, batches, noise)

    def size(self) -> dict[str, float]:
        """How much there is to train on."""
        return {"characters": self.characters["train"]}

    def figures(self) -> dict[str, Any]:
        """What the model makes of dev and test, which is logged too."""
        figures: dict[str, Any] = {}
        for split in ("dev", "test"):
            if len(self.labels[split]) > 1:
                figures[split] = surprise(
                    self.task, self.labels[split], self.characters[split], self.config["data"]["steps"]
                )
                log.info("%s: %s", split, line(figures[split]))
        return figures

    def card(self, figures: Mapping[str, Any]) -> str:
        """The model card."""
        return card.language(self.config, self.task, figures)
