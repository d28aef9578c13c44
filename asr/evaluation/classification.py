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
from asr.models import store
from asr.tasks.classification import ClassificationTask


@torch.inference_mode()
def predict(task: ClassificationTask, dataset: SpeechDataset, max_seconds: float) -> list[tuple[str, str]]:
    """Return (class, predicted class) of each utterance, in batches of at most ``max_seconds``."""
    task.eval()
    names = task.vocabulary.tokens
    pairs: list[tuple[str, str]] = []
    for batch in batches(dataset, max_seconds):
        predictions = task(batch.inputs, batch.lengths).argmax(-1)
        classes = batch.targets[task.primary].labels
        pairs += [(names[c], names[p]) for c, p in zip(classes.tolist(), predictions.tolist(), strict=True)]
    return pairs


def evaluate(models: Sequence[Path], data: Sequence[str], options: EvaluationOptions) -> Evaluation:
    """Score a classifier on manifests whose texts are classes; see `asr.evaluation.base.Evaluate`."""
    options.reject("classification", "decoder", "head", "by_speaker", "details", "html")
    task = store.load(single_model(models, "classification"), ClassificationTask)
    figures = {}
    for path in data:
        dataset = SpeechDataset(manifest.read(path), task.vocabularies, task.features.sample_rate)
        figures[path] = classification.summary(predict(task, dataset, options.batch_seconds))
    text = "\n".join(f"{path}: {classification.line(summary)}" for path, summary in figures.items())
    return Evaluation(text, figures)
