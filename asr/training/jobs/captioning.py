"""Train image captioners on caption manifests."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

from asr.data import caption_manifest
from asr.data.caption_dataset import VIEWS, CaptionDataset, Grids, Pictures, View, cached_grids
from asr.data.caption_manifest import CaptionedImage
from asr.data.loader import ResumableLoader
from asr.errors import InputError
from asr.evaluation.captioning import caption_images, line, rounded_figures
from asr.metrics.captions import CiderD, score
from asr.models import card, store
from asr.tasks.captioning import CaptioningTask
from asr.text.vocabulary import EOS
from asr.training.jobs._encoder_decoder import EncoderDecoderJob
from asr.training.vocabularies import make_vocabulary

log = logging.getLogger(__name__)


class CaptioningJob(EncoderDecoderJob):
    """Trains a captioner; see `asr.training.jobs.base.Job`."""

    monitor = "dev_cider"
    mode = "max"
    task: CaptioningTask

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        data = config["data"]
        self.splits = {split: read_split(data.get(split), split) for split in ("train", "dev", "test")}
        self.task = make_task(config, self.splits["train"])
        self.task.reward = self.reward
        if data["cache"] and not self.task.frozen:
            raise InputError("data.cache is for an encoder that is not trained (task.frozen)")
        if weights := config["image_encoder"].get("weights"):
            self.task.encoder.load_weights(weights)
        elif self.task.frozen and not config["init"]:
            raise InputError("image_encoder.weights: a frozen encoder needs trained weights")

    def describe(self) -> None:
        """Log the size of data and network."""
        for split, items in self.splits.items():
            if items:
                log.info("%s: %d images, %d captions", split, *caption_manifest.summary(items))
        trained = sum(p.numel() for p in self.task.parameters() if p.requires_grad) / 1e6
        log.info("network: %s weights, %.2f M trained", card.millions(self.task), trained)
        log.info("%d words", len(self.task.vocabulary))

    def views(self, split: str, views: Sequence[str]) -> list[View]:
        """Return what the task reads of the images of a split, for each of some `VIEWS`."""
        items, size, cache = self.splits[split], self.task.image_size, self.config["data"]["cache"]
        if not cache:
            return [Pictures(items, size, view) for view in views]
        pooled = self.task.network.key is None
        return [Grids(cached_grids(self.task.encoder, items, size, Path(cache), view), pooled) for view in views]

    def loaders(self, rank: int, world: int) -> tuple[ResumableLoader, DataLoader[Any]]:
        """Return the training batches of process ``rank`` of ``world``, and the dev batches."""
        config, vocabulary = self.config, self.task.vocabulary
        views = self.views("train", VIEWS if config["data"]["mirror"] else VIEWS[:1])
        one = self.task.samples > 0
        train = CaptionDataset(self.splits["train"], views, vocabulary, first_only=one, seed=config["seed"])
        dev = CaptionDataset(self.splits["dev"], self.views("dev", VIEWS[:1]), vocabulary, first_only=True)
        return self.text_loaders(train, dev, rank, world)

    def measure(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
        """Return BLEU-4 and CIDEr-D."""
        scores = score(hypotheses, references)
        return {"bleu4": scores.bleu[3], "cider": scores.cider_d}

    def reward(self, hypotheses: Sequence[str], references: Sequence[str]) -> list[float]:
        """Return the CIDEr-D of each caption, with the word statistics of the training captions."""
        return self.metric([text.split() for text in hypotheses], [text.split() for text in references])

    @cached_property
    def metric(self) -> CiderD:
        """CIDEr-D with the training captions' statistics, built on first use."""
        return CiderD([[text.split() for text in item.captions] for item in self.splits["train"]])

    def training_size(self) -> dict[str, float]:
        """Return the number of images and captions."""
        return dict(caption_manifest.summary(self.splits["train"])._asdict())

    def figures(self) -> dict[str, Any]:
        """Compute, log and return the caption metrics of dev and test."""
        figures: dict[str, Any] = {}
        for split in ("dev", "test"):
            if items := self.splits[split]:
                (view,) = self.views(split, VIEWS[:1])
                captions = caption_images([self.task], view, len(items))
                figures[split] = rounded_figures(score(captions, [item.captions for item in items]))
                log.info("%s: %s", split, line(figures[split]))
        return figures

    def card(self, figures: Mapping[str, Any]) -> str:
        """Return the model card."""
        training, vocabulary = figures["training"], self.task.vocabulary
        attention = "with" if self.task.network.key is not None else "without"
        rows = list(card.splits(figures))
        names = [name for name in rows[0][1] if name != "images"]
        return card.model_card(
            self.config,
            figures,
            description=f"image captioner, {card.millions(self.task)} weights, {attention} attention, "
            f"{len(vocabulary)} words",
            data=f"{training['captions']} captions of {training['images']} images",
            header=["set", "images", *names],
            rows=[[split, row["images"], *(f"{100 * row[name]:.1f}" for name in names)] for split, row in rows],
            command="asr caption IMAGES --model THIS_DIRECTORY",
        )


def read_split(path: Any, split: str) -> list[CaptionedImage]:
    """Read the images of ``data.train``, ``data.dev`` or ``data.test``; no test data for None.

    Raises:
        InputError: the setting is no path, or the manifest cannot be read.
    """
    if path is None and split == "test":
        return []
    if not isinstance(path, str):
        raise InputError(f"data.{split}={path!r}: the path of a caption manifest is needed (asr prepare flickr8k)")
    return caption_manifest.read(path)


def make_task(config: Mapping[str, Any], train: Sequence[CaptionedImage]) -> CaptioningTask:
    """Build an untrained task whose vocabulary comes from the training captions.

    Raises:
        InputError: there is not exactly one head.
    """
    heads = config["task"].get("heads") or {}
    if len(heads) != 1:
        raise InputError(f"task.heads: a captioner has one head, not {len(heads)}")
    texts = list(chain.from_iterable(item.captions for item in train))
    vocabularies = {head: make_vocabulary(head, options, texts, specials=(EOS,)) for head, options in heads.items()}
    task = store.make_task(config, vocabularies)
    assert isinstance(task, CaptioningTask)
    return task
