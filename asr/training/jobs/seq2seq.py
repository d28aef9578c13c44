"""Train seq2seq models on parallel texts."""

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
from asr.evaluation.seq2seq import error_counts, evaluate_tasks, label_and_sequence_error, line
from asr.models import card, store
from asr.tasks.seq2seq import Seq2SeqTask
from asr.text.vocabulary import EOS
from asr.training.jobs._encoder_decoder import EncoderDecoderJob
from asr.training.vocabularies import make_vocabulary

log = logging.getLogger(__name__)


class Seq2SeqJob(EncoderDecoderJob):
    """Trains a seq2seq task; see `asr.training.jobs.base.Job`."""

    monitor = "dev_sequence_error"
    task: Seq2SeqTask

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.splits = {split: read_split(config["data"].get(split), split) for split in ("train", "dev", "test")}
        self.task = make_task(config, self.splits["train"])
        self.task.reward = self.reward
        source, target = self.task.source, self.task.vocabulary
        self.train_data = PairDataset(self.splits["train"], source, target, first_only=self.task.samples > 0)
        self.dev_data = PairDataset(self.splits["dev"], source, target, first_only=True)

    def describe(self) -> None:
        """Log the size of data and network."""
        for split, texts in self.splits.items():
            if texts:
                log.info("%s: %d sources, %d pairs", split, len(texts), sum(map(len, texts.values())))
        sizes = ", ".join(f"{head} {len(v)} {v.kind}" for head, v in self.task.vocabularies.items())
        log.info("network: %s weights; %s", card.millions(self.task), sizes)

    def loaders(self, rank: int, world: int) -> tuple[ResumableLoader, DataLoader[Any]]:
        """Return the training batches of process ``rank`` of ``world``, and the dev batches."""
        return self.text_loaders(self.train_data, self.dev_data, rank, world)

    def reward(self, hypotheses: Sequence[str], references: Sequence[str]) -> list[float]:
        """Return minus the number of wrong labels against the nearest reference."""
        counts = error_counts(self.task.vocabulary, hypotheses, [references] * len(hypotheses))
        return [-float(count.errors) for count in counts]

    def measure(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
        """Return label and sequence error rates."""
        return label_and_sequence_error(self.task.vocabulary, hypotheses, references)

    def training_size(self) -> dict[str, float]:
        """Return the number of pairs."""
        return {"pairs": len(self.train_data)}

    def figures(self) -> dict[str, Any]:
        """Compute, log and return label and sequence error rates of dev and test."""
        figures: dict[str, Any] = {}
        for split in ("dev", "test"):
            if texts := self.splits[split]:
                figures[split] = evaluate_tasks([self.task], texts)
                log.info("%s: %s", split, line(figures[split]))
        return figures

    def card(self, figures: Mapping[str, Any]) -> str:
        """Return the model card."""
        sizes = ", ".join(f"{head} ({len(v)} {v.kind})" for head, v in self.task.vocabularies.items())
        attention = "with" if self.task.network.key is not None else "without"
        rows = list(card.splits(figures))
        names = [name for name in rows[0][1] if "error" in name]
        return card.model_card(
            self.config,
            figures,
            description=f"seq2seq model, {card.millions(self.task)} weights, {attention} attention; "
            f"output and input: {sizes}",
            data=f"{figures['training']['pairs']} pairs",
            header=["set", "sequences", *(f"{name.replace('_', ' ')} %" for name in names)],
            rows=[[split, row["sequences"], *(card.percent(row, name) for name in names)] for split, row in rows],
            command="asr pronounce WORDS --model THIS_DIRECTORY",
        )


def read_split(path: Any, split: str) -> ParallelTexts:
    """Read the parallel texts of ``data.train``, ``data.dev`` or ``data.test``; no test data for None.

    Raises:
        InputError: the setting is no path, or the file cannot be read.
    """
    if path is None and split == "test":
        return {}
    if not isinstance(path, str):
        raise InputError(f"data.{split}={path!r}: the path of a file of pairs (source TAB target) is needed")
    return pairs.read(path)


def make_task(config: Mapping[str, Any], train: ParallelTexts) -> Seq2SeqTask:
    """Build an untrained task; its vocabularies come from the configuration and the training pairs.

    Raises:
        InputError: there are not two heads, the output's first.
    """
    heads = list((config["task"].get("heads") or {}).items())
    if len(heads) != 2:
        raise InputError(f"task.heads: two heads are needed, first the output's, then the input's, not {len(heads)}")
    targets = list(chain.from_iterable(train.values()))
    vocabularies = {}
    for (head, options), texts, specials in zip(heads, (targets, list(train)), ((EOS,), ()), strict=True):
        phones = sorted({unit for text in texts for unit in text.split()}) if options.get("kind") == "phones" else ()
        vocabularies[head] = make_vocabulary(head, options, texts, phones, specials=specials)
    task = store.make_task(config, vocabularies)
    assert isinstance(task, Seq2SeqTask)
    return task
