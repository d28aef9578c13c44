"""Training of seq2seq models: pairs of texts to batches, and how much of what is written is right."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from torch.utils.data import DataLoader

from asr.data import pairs
from asr.data.loader import ResumableLoader
from asr.data.pairs import PairDataset, ParallelTexts
from asr.errors import InputError
from asr.evaluation.seq2seq import _counts, _errors, evaluate, line
from asr.models import card, store
from asr.tasks.seq2seq import Seq2SeqTask
from asr.text.vocabulary import EOS
from asr.training.jobs._encoder_decoder import WritingJob, loaders
from asr.training.vocabularies import make_vocabulary

log = logging.getLogger(__name__)


class PairJob(WritingJob):
    """A seq2seq task and the pairs that it is trained and scored on: a `asr.training.run.Job`."""

    monitor = "dev_sequence_error"

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.splits = {split: read_split(config["data"].get(split), split) for split in ("train", "dev", "test")}
        self.task = make_task(config, self.splits["train"])
        source, target = self.task.source, self.task.vocabulary
        self.train_data = PairDataset(self.splits["train"], source, target, one=self.task.samples > 0)
        self.dev_data = PairDataset(self.splits["dev"], source, target, one=True)

    def begin(self) -> None:
        """Nothing has to be known before the first step."""

    def describe(self) -> None:
        """Log what is about to be trained, on what."""
        for split, found in self.splits.items():
            if found:
                log.info("%s: %d sources, %d pairs", split, len(found), sum(map(len, found.values())))
        sizes = ", ".join(f"{head} {len(v)} {v.kind}" for head, v in self.task.vocabularies.items())
        log.info("network: %s weights; %s", card.millions(self.task), sizes)

    def loaders(self, rank: int, world: int) -> tuple[ResumableLoader, DataLoader[Any]]:
        """Batches to train on, for one of so many processes, and those of dev."""
        labels, seed = self.config["data"]["labels"], self.config["seed"]
        return loaders(self.train_data, self.dev_data, labels, seed, rank, world, max(self.task.samples, 1))

    def reward(self, found: Sequence[str], right: Sequence[str]) -> list[float]:
        """How many labels are wrong, negative, beside the nearest of what is right."""
        counts = _counts(self.task.vocabulary, found, [right] * len(found))
        return [-float(counted.errors) for counted in counts]

    def measure(self, written: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
        """The dev figures."""
        return _errors(self.task.vocabulary, written, references)

    def size(self) -> dict[str, float]:
        """How much there is to train on."""
        return {"pairs": len(self.train_data)}

    def figures(self) -> dict[str, Any]:
        """Shares of labels and of sequences that are wrong in dev and test, which are logged too."""
        figures: dict[str, Any] = {}
        for split in ("dev", "test"):
            if found := self.splits[split]:
                figures[split] = evaluate([self.task], found)
                log.info("%s: %s", split, line(figures[split]))
        return figures

    def card(self, figures: Mapping[str, Any]) -> str:
        """The model card."""
        return card.seq2seq(self.config, self.task, figures)


def read_split(path: Any, split: str) -> ParallelTexts:
    """The pairs of ``data.train``, ``data.dev`` or ``data.test``, a path; none for a test that is not given."""
    if path is None and split == "test":
        return {}
    if not isinstance(path, str):
        raise InputError(f"data.{split}={path!r}: a file of pairs is wanted")
    return pairs.read(path)


def make_task(config: Mapping[str, Any], train: ParallelTexts) -> Seq2SeqTask:
    """An untrained task whose vocabularies come from the configuration and the training pairs."""
    heads = list((config["task"].get("heads") or {}).items())
    if len(heads) != 2:
        raise InputError(f"task.heads: one that is written and then one that is read are wanted, not {len(heads)}")
    targets = list(chain.from_iterable(train.values()))
    made = {}
    for (head, options), texts, specials in zip(heads, (targets, list(train)), ((EOS,), ()), strict=True):
        phones = sorted({unit for text in texts for unit in text.split()}) if options.get("kind") == "phones" else ()
        made[head] = make_vocabulary(head, options, texts, phones, specials=specials)
    task = store.make_task(config, made)
    assert isinstance(task, Seq2SeqTask)
    return task
