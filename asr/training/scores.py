"""What models score on data of their kind, of all kinds but recognisers (which `asr.training.evaluate` is for)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asr import captioner, model_dir
from asr.data import captions, manifest, pairs
from asr.data.images import Pictures
from asr.data.speech import SpeechDataset
from asr.decoding import label_beam
from asr.errors import InputError
from asr.evaluation import classification
from asr.evaluation.caption_metrics import score
from asr.sheet import Entry
from asr.tasks.classification import ClassificationTask
from asr.tasks.language import LanguageTask
from asr.tasks.seq2seq import Seq2SeqTask
from asr.training import captions as caption_training
from asr.training import language
from asr.training import pairs as pair_training
from asr.training.classification import told

Changes = Mapping[str, Any]  # of how to search, `asr.decoding.label_beam.Options`
BATCH_SECONDS = 240.0  # of audio that is classified together


@dataclass(frozen=True)
class Scores:
    """Figures, the same on one line, and the sections of a page of images (`asr.sheet.write_page`) if it has any."""

    figures: dict[str, Any]
    line: str
    page: list[tuple[str, list[Entry]]] = field(default_factory=list)


def seq2seq(models: Sequence[Path], data: str, options: Changes, worst: int) -> Scores:
    """Errors in a file of pairs."""
    tasks = [model_dir.load(model, Seq2SeqTask) for model in models]
    search = label_beam.changed(tasks[0].options, options)
    figures = pair_training.evaluate(tasks, pairs.read(data), search)
    return Scores(figures, pair_training.line(figures))


def captioning(models: Sequence[Path], data: str, options: Changes, worst: int) -> Scores:
    """How close captions are to those of a manifest; its page has so many of the worst and best images by CIDEr-D."""
    tasks = captioner.load(*models).tasks
    search = label_beam.changed(tasks[0].options, options)
    items = captions.read(data)
    written = caption_training.write(tasks, Pictures(items, tasks[0].image_size), len(items), search)
    found = score(written, [item.captions for item in items])
    figures = caption_training.figures_of(found)
    ranked = sorted(range(len(items)), key=lambda number: found.images[number].cider_d)

    def entries(numbers: Sequence[int]) -> list[Entry]:
        notes = {n: [f"CIDEr-D {100 * found.images[n].cider_d:.0f}", *items[n].captions] for n in numbers}
        return [Entry(items[n].image, written[n], notes[n]) for n in numbers]

    page = [("Worst", entries(ranked[:worst])), ("Best", entries(ranked[::-1][:worst]))]
    return Scores(figures, caption_training.line(figures), page)


def classes(models: Sequence[Path], data: str, options: Changes, worst: int) -> Scores:
    """How often the classes of a manifest's utterances are told right."""
    _alone(models, options)
    task = model_dir.load(models[0], ClassificationTask)
    dataset = SpeechDataset(manifest.read(data), task.vocabularies, task.features.sample_rate)
    figures = classification.summary(told(task, dataset, BATCH_SECONDS))
    return Scores(figures, classification.line(figures))


def of_text(models: Sequence[Path], data: str, options: Changes, worst: int) -> Scores:
    """How surprised a language model is by a text file."""
    _alone(models, options)
    task = model_dir.load(models[0], LanguageTask)
    kind = model_dir.read_config(models[0]).get("training", {}).get("data", {}).get("pieces", "file")
    figures = language.score(task, language.pieces(data, "test", kind), data)
    return Scores(figures, language.line(figures))


def _alone(models: Sequence[Path], options: Changes) -> None:
    if len(models) > 1 or options:
        raise InputError("only models that write captions or pronunciations search, and do it together")


Scorer = Callable[[Sequence[Path], str, Changes, int], Scores]
SCORERS: dict[str, Scorer] = {
    "seq2seq": seq2seq,
    "captioning": captioning,
    "classification": classes,
    "language": of_text,
}
