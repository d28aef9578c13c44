"""Evaluate captioners: BLEU, METEOR, ROUGE-L and CIDEr-D."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from asr.data import caption_manifest
from asr.data.caption_dataset import BATCH, Pictures, View
from asr.data.caption_manifest import CaptionedImage
from asr.decoding.label import beam
from asr.decoding.label.beam import LabelBeamOptions
from asr.evaluation.base import Evaluation, EvaluationOptions
from asr.inference.captioner import Captioner
from asr.metrics.captions import CaptionScores, score
from asr.output.caption_sheet import Entry
from asr.tasks.captioning import CaptioningTask, common_encoder
from asr.tasks.encoder_decoder import search


@torch.inference_mode()
def caption_images(
    tasks: Sequence[CaptioningTask], view: View, count: int, options: LabelBeamOptions | None = None
) -> list[str]:
    """Generate the best caption of each of ``count`` images, by one task or an ensemble that reads the same view."""
    first, encode = tasks[0], common_encoder(tasks)
    captions: list[str] = []
    for begin in range(0, count, BATCH):
        inputs = torch.stack([view(number) for number in range(begin, min(begin + BATCH, count))])
        lengths = torch.full((len(inputs),), inputs.shape[1])
        hypotheses = search(tasks, encode(inputs.to(first.network.device)), lengths, options)
        captions += [first.vocabulary.decode(best.labels) for best, *_ in hypotheses]
    return captions


def rounded_figures(scores: CaptionScores) -> dict[str, Any]:
    """Return the scores of all images together as JSON values."""
    return {"images": len(scores.images)} | {name: round(value, 4) for name, value in scores.named().items()}


def line(figures: Mapping[str, Any]) -> str:
    """Format figures as one line, times 100."""
    scores = ", ".join(f"{name} {100 * value:.1f}" for name, value in figures.items() if name != "images")
    return f"{figures['images']} images: {scores}"


def evaluate(models: Sequence[Path], data: Sequence[str], options: EvaluationOptions) -> Evaluation:
    """Score a captioner or an ensemble on caption manifests; see `asr.evaluation.base.Evaluate`."""
    options.reject("captioning", "head", "by_speaker", "details")
    tasks = Captioner.load(models[0], ensemble=models[1:]).tasks
    search_options = beam.replace_options(tasks[0].options, options.decoder)
    figures, page = {}, []
    for path in data:
        images = caption_manifest.read(path)
        captions = caption_images(tasks, Pictures(images, tasks[0].image_size), len(images), search_options)
        scores = score(captions, [image.captions for image in images])
        figures[path] = rounded_figures(scores)
        if options.html:
            page += _worst_and_best(images, captions, scores, options.worst)
    text = "\n".join(f"{path}: {line(summary)}" for path, summary in figures.items())
    return Evaluation(text, figures, page=page)


def _worst_and_best(
    images: Sequence[CaptionedImage], captions: Sequence[str], scores: CaptionScores, count: int
) -> list[tuple[str, list[Entry]]]:
    """Sections of a page with the images of the lowest and the highest CIDEr-D."""
    ranking = sorted(range(len(images)), key=lambda number: scores.images[number].cider_d)

    def entry(number: int) -> Entry:
        notes = [f"CIDEr-D {100 * scores.images[number].cider_d:.0f}", *images[number].captions]
        return Entry(images[number].image, captions[number], notes)

    return [("Worst", [*map(entry, ranking[:count])]), ("Best", [*map(entry, ranking[::-1][:count])])]
