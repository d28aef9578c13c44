"""Training of captioners: images to what their encoder makes of them, and how close captions are to people's."""

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
from asr.evaluation.captioning import figures_of, line, write
from asr.metrics.captions import CiderD, score
from asr.models import card, store
from asr.tasks.captioning import CaptioningTask
from asr.text.vocabulary import EOS
from asr.training.jobs._encoder_decoder import WritingJob, loaders
from asr.training.vocabularies import make_vocabulary

log = logging.getLogger(__name__)


class CaptionJob(WritingJob):
    """A captioner and the images that it is trained and scored on: a `asr.training.run.Job`."""

    monitor = "dev_cider"

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        data = config["data"]
        self.splits = {split: read_split(data.get(split), split) for split in ("train", "dev", "test")}
        self.task = make_task(config, self.splits["train"])
        if data["cache"] and not self.task.frozen:
            raise InputError("data.cache is for an encoder that is not trained (task.frozen)")
        if weights := config["image_encoder"].get("weights"):
            self.task.encoder.load_weights(weights)
        elif self.task.frozen and not config["init"]:
            raise InputError("image_encoder.weights: a frozen encoder needs weights that have been trained")

    def begin(self) -> None:
        """Nothing has to be known before the first step."""

    def describe(self) -> None:
        """Log what is about to be trained, on what."""
        for split, items in self.splits.items():
            if items:
                log.info("%s: %d images, %d captions", split, *caption_manifest.summary(items))
        trained = sum(p.numel() for p in self.task.parameters() if p.requires_grad) / 1e6
        log.info("network: %s weights, %.2f M trained", card.millions(self.task), trained)
        log.info("%d words", len(self.task.vocabulary))

    def views(self, split: str, views: Sequence[str]) -> list[View]:
        """What is read of the images of a split, for each of some `VIEWS`."""
        items, size, cache = self.splits[split], self.task.image_size, self.config["data"]["cache"]
        if not cache:
            return [Pictures(items, size, view) for view in views]
        pooled = self.task.network.key is None
        return [Grids(cached_grids(self.task.encoder, items, size, Path(cache), view), pooled) for view in views]

    def loaders(self, rank: int, world: int) -> tuple[ResumableLoader, DataLoader[Any]]:
        """Batches to train on, for one of so many processes, and those of dev."""
        data, seed = self.config["data"], self.config["seed"]
        chosen = VIEWS if data["mirror"] else VIEWS[:1]
        one = self.task.samples > 0
        views = self.views("train", chosen)
        train = CaptionDataset(self.splits["train"], views, self.task.vocabulary, one=one, seed=seed)
        dev = CaptionDataset(self.splits["dev"], self.views("dev", VIEWS[:1]), self.task.vocabulary, one=True)
        return loaders(train, dev, data["labels"], seed, rank, world, max(self.task.samples, 1))

    def measure(self, written: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
        """The dev figures."""
        found = score(written, references)
        return {"bleu4": found.bleu[3], "cider": found.cider_d}

    def reward(self, found: Sequence[str], right: Sequence[str]) -> list[float]:
        """CIDEr-D of captions, their words as rare as in training."""
        return self.metric([text.split() for text in found], [text.split() for text in right])

    @cached_property
    def metric(self) -> CiderD:
        """What `reward` goes by, made when it is first asked for."""
        return CiderD([[text.split() for text in item.captions] for item in self.splits["train"]])

    def size(self) -> dict[str, float]:
        """How much there is to train on."""
        return dict(caption_manifest.summary(self.splits["train"])._asdict())

    def figures(self) -> dict[str, Any]:
        """Scores of captions of dev and test, which are logged too."""
        figures: dict[str, Any] = {}
        for split in ("dev", "test"):
            if items := self.splits[split]:
                (view,) = self.views(split, VIEWS[:1])
                written = write([self.task], view, len(items))
                figures[split] = figures_of(score(written, [item.captions for item in items]))
                log.info("%s: %s", split, line(figures[split]))
        return figures

    def card(self, figures: Mapping[str, Any]) -> str:
        """The model card."""
        return card.captioning(self.config, self.task, figures)


def read_split(path: Any, split: str) -> list[CaptionedImage]:
    """The images of ``data.train``, ``data.dev`` or ``data.test``, a manifest; none for a test that is not given."""
    if path is None and split == "test":
        return []
    if not isinstance(path, str):
        raise InputError(f"data.{split}={path!r}: a manifest of captions is wanted (asr prepare flickr8k)")
    return caption_manifest.read(path)


def make_task(config: Mapping[str, Any], train: Sequence[CaptionedImage]) -> CaptioningTask:
    """An untrained task whose vocabulary comes from the training captions."""
    heads = config["task"].get("heads") or {}
    if len(heads) != 1:
        raise InputError(f"task.heads: a captioner has one head, not {len(heads)}")
    texts = list(chain.from_iterable(item.captions for item in train))
    made = {head: make_vocabulary(head, options, texts, specials=(EOS,)) for head, options in heads.items()}
    task = store.make_task(config, made)
    assert isinstance(task, CaptioningTask)
    return task
