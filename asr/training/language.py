"""Training of language models: text to streams, and what a model makes of text that it has not seen."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asr import model_dir
from asr.data.lines import lines
from asr.data.text import StreamBatch, Streams
from asr.decoding.label_beam import sample
from asr.errors import InputError
from asr.lm import prose
from asr.modules.label_rnn import State
from asr.tasks.language import LanguageTask
from asr.training import card
from asr.training.module import TrainingModule
from asr.training.vocabularies import make_vocabulary
from asr.vocabulary import EOS

log = logging.getLogger(__name__)

DEV_ROWS = 8  # streams that dev text is read in: few, as each begins without knowing what stands before it
PIECES = ("file", "line", "sentence")


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
        task = model_dir.make_task(config, made)
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

    def loaders(self, rank: int, world: int) -> tuple[Streams, Streams]:
        """Streams to train on, for one of so many processes, and those of dev."""
        data = self.config["data"]
        train = Streams(
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


def encoded(task: LanguageTask, text: Sequence[str], where: str) -> Tensor:
    """All labels of some pieces of text, <eos> before the first piece and behind each; ``where`` names it in errors."""
    encode = task.vocabulary.encode
    parts = ([*encode(piece, f"{number} of {where}"), task.eos] for number, piece in enumerate(text, start=1))
    return torch.tensor([task.eos, *chain.from_iterable(parts)])


def streams(labels: Tensor, steps: int = 128) -> Streams:
    """Labels to score, from the first to the last."""
    return Streams(labels, min(DEV_ROWS, len(labels) - 1), steps)


def score(task: LanguageTask, text: Sequence[str], where: str) -> dict[str, Any]:
    """`surprise` at pieces of text; ``where`` names them in errors."""
    return surprise(task, encoded(task, text, where), sum(map(len, text)))


@torch.inference_mode()
def surprise(task: LanguageTask, labels: Tensor, characters: int, steps: int = 128) -> dict[str, Any]:
    """How unlikely labels are, each after those before it: nats of one, and bits of each of so many characters."""
    task.eval()
    nats, state = 0.0, None
    for batch in streams(labels, steps):
        loss, state = task.loss(batch.labels, state)
        nats += loss.item() * batch.labels[:, 1:].numel()
    count = len(labels) - 1
    bits = nats / math.log(2) / characters
    return {"labels": count, "nats_per_label": round(nats / count, 4), "bits_per_character": round(bits, 4)}


def line(figures: Mapping[str, Any]) -> str:
    """Figures of `surprise` on one line."""
    nats, bits = figures["nats_per_label"], figures["bits_per_character"]
    return f"{figures['labels']} labels: {nats:.4f} nats a label, {bits:.4f} bits a character"


def pieces(files: Any, split: str, kind: str) -> list[str]:
    """The pieces of text of ``data.train``, ``data.dev`` or ``data.test`` (a path or a list of them), none empty."""
    if kind not in PIECES:
        raise InputError(f"data.pieces={kind!r} is not one of {', '.join(PIECES)}")
    paths = [files] if isinstance(files, str) else list(files or ())
    if not paths and split != "test":
        raise InputError(f"data.{split} names no text file")
    found = [piece for path in paths for piece in _pieces(Path(path), kind) if piece.strip()]
    if paths and not found:
        raise InputError(f"data.{split}: there is no text in {', '.join(paths)}")
    return found


def _pieces(path: Path, kind: str) -> Iterator[str]:
    if kind == "file":
        yield "".join(lines(path))
    elif kind == "line":
        yield from (line.rstrip("\n") for line in lines(path))
    else:
        yield from prose.sentences(lines(path))
