"""Evaluate classifiers of utterances: accuracy, recall of each class, confusions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from asr.data import manifest
from asr.data.speech_dataset import SpeechDataset
from asr.evaluation.base import Evaluation, EvaluationOptions, single_model
from asr.evaluation.speech import batches
from asr.metrics import classification
from asr.metrics.significance import with_legend
from asr.models import store
from asr.tasks.classification import ClassificationTask


@torch.inference_mode()
def predict(
    task: ClassificationTask, dataset: SpeechDataset, max_seconds: float
) -> tuple[list[tuple[str, str]], list[str]]:
    """Return (class, predicted class) and speaker of each utterance, by batches of at most ``max_seconds``."""
    task.eval()
    names = task.vocabulary.tokens
    pairs: list[tuple[str, str]] = []
    speakers: list[str] = []
    speaker_of = {cut.id: manifest.speaker(cut) for cut in dataset.cuts}
    for batch in batches(dataset, max_seconds):
        predictions = task(batch.inputs, batch.lengths).argmax(-1)
        classes = batch.targets[task.primary].labels
        pairs += [(names[c], names[p]) for c, p in zip(classes.tolist(), predictions.tolist(), strict=True)]
        speakers += [speaker_of[id] for id in batch.ids]
    return pairs, speakers


def evaluate(models: Sequence[Path], data: Sequence[str], options: EvaluationOptions) -> Evaluation:
    """Score a classifier on manifests whose texts are classes; see `asr.evaluation.base.Evaluate`."""
    options.reject("classification", "decoder", "head", "by_speaker", "details", "html")
    task = store.load(single_model(models, "classification"), ClassificationTask)
    figures = {}
    for path in data:
        dataset = SpeechDataset(manifest.read(path), task.vocabularies, task.features.sample_rate)
        figures[path] = classification.summary(*predict(task, dataset, options.batch_seconds))
    text = "\n".join(f"{path}: {classification.line(summary)}" for path, summary in figures.items())
    return Evaluation(with_legend(text, [summary["interval_over"] for summary in figures.values()]), figures)
