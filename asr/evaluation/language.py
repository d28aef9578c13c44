"""Evaluate language models: cross entropy per label and per character."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asr.data.text_stream import BPTTBatches
from asr.data.texts import read_document, read_texts
from asr.errors import InputError
from asr.evaluation.scores import Changes, Scores, _alone
from asr.models import directory, store
from asr.tasks.language import LanguageTask
from asr.text import sentences

DEV_ROWS = 8  # streams that dev text is read in: few, as each begins without knowing what stands before it

PIECES = ("file", "line", "sentence")


def encoded(task: LanguageTask, text: Sequence[str], where: str) -> Tensor:
    """All labels of some pieces of text, <eos> before the first piece and behind each; ``where`` names it in errors."""
    encode = task.vocabulary.encode
    parts = ([*encode(piece, f"{number} of {where}"), task.eos] for number, piece in enumerate(text, start=1))
    return torch.tensor([task.eos, *chain.from_iterable(parts)])


def streams(labels: Tensor, steps: int = 128) -> BPTTBatches:
    """Labels to score, from the first to the last."""
    return BPTTBatches(labels, min(DEV_ROWS, len(labels) - 1), steps)


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
        yield read_document(path)
    elif kind == "line":
        yield from read_texts(path)
    else:
        yield from sentences.sentences(read_texts(path))


def of_text(models: Sequence[Path], data: str, options: Changes, worst: int) -> Scores:
    """How surprised a language model is by a text file."""
    _alone(models, options)
    task = store.load(models[0], LanguageTask)
    kind = directory.read_config(models[0]).get("training", {}).get("data", {}).get("pieces", "file")
    figures = score(task, pieces(data, "test", kind), data)
    return Scores(figures, line(figures))
