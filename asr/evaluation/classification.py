"""Evaluate classifiers: accuracy, recall of each class, confusions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from asr.data import manifest
from asr.data.speech_dataset import SpeechDataset
from asr.evaluation.ctc import batches
from asr.evaluation.scores import Changes, Scores, _alone
from asr.metrics import classification
from asr.models import store
from asr.tasks.classification import ClassificationTask


@torch.inference_mode()
def told(task: ClassificationTask, dataset: SpeechDataset, max_seconds: float) -> list[tuple[str, str]]:
    """The class of each utterance, and the one that it is taken for."""
    task.eval()
    names = task.vocabulary.tokens
    pairs: list[tuple[str, str]] = []
    for batch in batches(dataset, max_seconds):
        found = task(batch.inputs, batch.lengths).argmax(-1)
        classes = batch.targets[task.primary].labels
        pairs += [(names[c], names[f]) for c, f in zip(classes.tolist(), found.tolist(), strict=True)]
    return pairs


BATCH_SECONDS = 240.0  # of audio that is classified together


def classes(models: Sequence[Path], data: str, options: Changes, worst: int) -> Scores:
    """How often the classes of a manifest's utterances are told right."""
    _alone(models, options)
    task = store.load(models[0], ClassificationTask)
    dataset = SpeechDataset(manifest.read(data), task.vocabularies, task.features.sample_rate)
    figures = classification.summary(told(task, dataset, BATCH_SECONDS))
    return Scores(figures, classification.line(figures))
