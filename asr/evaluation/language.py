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
from asr.evaluation.base import Evaluation, EvaluationOptions, single_model
from asr.models import directory, store
from asr.tasks.language import LanguageTask
from asr.text.outside import log_skipped
from asr.text.sentences import split_sentences
from asr.utils.options import check_choice

DEV_ROWS = 8  # parallel streams of dev text: few, as each starts without context

PIECES = ("file", "line", "sentence")


def encode_texts(task: LanguageTask, texts: Sequence[str], where: str) -> Tensor:
    """Return the labels (L,) of texts, <eos> before the first and after each; ``where`` names them in errors."""
    encode = task.vocabulary.encode
    named = [(f"{number} of {where}", text) for number, text in enumerate(texts, start=1)]
    log_skipped(task.vocabulary, named)
    parts = ([*encode(text, name), task.eos] for name, text in named)
    return torch.tensor([task.eos, *chain.from_iterable(parts)])


def dev_batches(labels: Tensor, steps: int = 128) -> BPTTBatches:
    """Return the batches that score labels (L,) from the first to the last."""
    return BPTTBatches(labels, min(DEV_ROWS, len(labels) - 1), steps)


@torch.inference_mode()
def cross_entropy(task: LanguageTask, labels: Tensor, characters: int, steps: int = 128) -> dict[str, Any]:
    """Compute the cross entropy of labels (L,), each given those before it.

    Returns:
        JSON values: number of ``labels``, ``nats_per_label``, and ``bits_per_character`` of the text's ``characters``.
    """
    task.eval()
    nats, state = 0.0, None
    for batch in dev_batches(labels, steps):
        loss, state = task.loss(batch.labels, state)
        nats += loss.item() * batch.labels[:, 1:].numel()
    count = len(labels) - 1
    bits = nats / math.log(2) / characters
    return {"labels": count, "nats_per_label": round(nats / count, 4), "bits_per_character": round(bits, 4)}


def line(figures: Mapping[str, Any]) -> str:
    """Format the figures of `cross_entropy` as one line."""
    nats, bits = figures["nats_per_label"], figures["bits_per_character"]
    return f"{figures['labels']} labels: {nats:.4f} nats a label, {bits:.4f} bits a character"


def read_split(files: Any, split: str, kind: str, *, phones: bool = False) -> list[str]:
    """Read the texts of ``data.train``, ``data.dev`` or ``data.test``, leaving out empty ones.

    Args:
        files: a path, a list of paths, or None for no test data.
        split: train, dev or test, for errors.
        kind: what one text is: a file, a line, or a sentence (of prose).
        phones: read the phones of manifests' utterances, instead of their transcripts.

    Raises:
        InputError: the kind is unknown, no file is named, or the files hold no text.
    """
    check_choice("data.eos_after", kind, PIECES)
    paths = [files] if isinstance(files, str) else list(files or ())
    if not paths and split != "test":
        raise InputError(f"data.{split} names no text file")
    texts = [text for path in paths for text in _texts(Path(path), kind, phones) if text.strip()]
    if paths and not texts:
        raise InputError(f"data.{split}: there {'are no phones' if phones else 'is no text'} in {', '.join(paths)}")
    return texts


def _texts(path: Path, kind: str, phones: bool) -> Iterator[str]:
    if kind == "file":
        yield read_document(path, phones=phones)
    elif kind == "line":
        yield from read_texts(path, phones=phones)
    else:
        yield from split_sentences(read_texts(path, phones=phones))


def evaluate(models: Sequence[Path], data: Sequence[str], options: EvaluationOptions) -> Evaluation:
    """Score a language model on text files; see `asr.evaluation.base.Evaluate`."""
    options.reject("language", "decoder", "head", "by_speaker", "details", "html")
    model = single_model(models, "language")
    task = store.load(model, LanguageTask)
    unit = directory.read_config(model).get("training", {}).get("data", {}).get("eos_after", "file")
    figures = {}
    for path in data:
        texts = read_split(path, "test", unit, phones=task.vocabulary.kind == "phones")
        figures[path] = cross_entropy(task, encode_texts(task, texts, path), sum(map(len, texts)))
    text = "\n".join(f"{path}: {line(summary)}" for path, summary in figures.items())
    return Evaluation(text, figures)
