"""Evaluate captioners: BLEU, METEOR, ROUGE-L and CIDEr-D."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from asr.data import caption_manifest
from asr.data.caption_dataset import BATCH, Pictures, View
from asr.decoding.label import beam
from asr.decoding.label.beam import LabelBeamOptions
from asr.evaluation import captioning as caption_training
from asr.evaluation.scores import Changes, Scores
from asr.inference import captioner
from asr.metrics.captions import CaptionScores, score
from asr.output.caption_sheet import Entry
from asr.tasks.captioning import CaptioningTask, common_encoder
from asr.tasks.encoder_decoder import search


@torch.inference_mode()
def write(
    tasks: Sequence[CaptioningTask], view: View, count: int, options: LabelBeamOptions | None = None
) -> list[str]:
    """The best caption of each of so many images by one model, or several together that read the same of an image."""
    first, encode = tasks[0], common_encoder(tasks)
    written: list[str] = []
    for begin in range(0, count, BATCH):
        inputs = torch.stack([view(number) for number in range(begin, min(begin + BATCH, count))])
        lengths = torch.full((len(inputs),), inputs.shape[1])
        found = search(tasks, encode(inputs.to(first.network.device)), lengths, options)
        written += [first.vocabulary.decode(best.labels) for best, *_ in found]
    return written


def figures_of(found: CaptionScores) -> dict[str, Any]:
    """Scores of all images together, for a file."""
    return {"images": len(found.images)} | {name: round(value, 4) for name, value in found.named().items()}


def line(figures: Mapping[str, Any]) -> str:
    """Scores on one line, in hundredths."""
    scores = ", ".join(f"{name} {100 * value:.1f}" for name, value in figures.items() if name != "images")
    return f"{figures['images']} images: {scores}"


def captioning(models: Sequence[Path], data: str, options: Changes, worst: int) -> Scores:
    """How close captions are to those of a manifest; its page has so many of the worst and best images by CIDEr-D."""
    tasks = captioner.load(*models).tasks
    search = beam.replace_options(tasks[0].options, options)
    items = caption_manifest.read(data)
    written = caption_training.write(tasks, Pictures(items, tasks[0].image_size), len(items), search)
    found = score(written, [item.captions for item in items])
    figures = caption_training.figures_of(found)
    ranked = sorted(range(len(items)), key=lambda number: found.images[number].cider_d)

    def entries(numbers: Sequence[int]) -> list[Entry]:
        notes = {n: [f"CIDEr-D {100 * found.images[n].cider_d:.0f}", *items[n].captions] for n in numbers}
        return [Entry(items[n].image, written[n], notes[n]) for n in numbers]

    page = [("Worst", entries(ranked[:worst])), ("Best", entries(ranked[::-1][:worst]))]
    return Scores(figures, caption_training.line(figures), page)
