"""Scores to search in: made up, or a model's own."""

from __future__ import annotations

import numpy as np

from asr.data import manifest
from asr.data.speech_dataset import SpeechDataset
from asr.evaluation.ctc import log_prob_batches
from asr.models import directory, store
from asr.tasks.ctc import CTCTask
from asr.text.vocabulary import Vocabulary

Said = list[tuple[np.ndarray, str]]


def scores_saying(path: np.ndarray, labels: int, boost: float, rng: np.random.Generator) -> np.ndarray:
    """Log-probabilities (T, labels) float32: noise, and ``boost`` for what each frame of ``path`` (T,) says."""
    logits = rng.normal(0, 1, (len(path), labels))
    logits[np.arange(len(path)), path] += boost
    log_probs: np.ndarray = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    return log_probs.astype(np.float32)


def real(model: str, path: str, most: int | None) -> tuple[Vocabulary, Said]:
    """A model's first head: its vocabulary, and of up to ``most`` utterances log-probabilities (T, V) and the text.

    The blank is label 0, for which the peers are set up.
    """
    task = store.load(directory.find(model), CTCTask)
    vocabulary = task.vocabularies[task.primary]
    if vocabulary.blank != 0:
        raise SystemExit(f"{model}: its blank is label {vocabulary.blank}; the peers are set up for 0")
    data = SpeechDataset(manifest.read(path)[:most], {task.primary: vocabulary}, task.features.sample_rate)
    said = []
    for batch, scores, lengths in log_prob_batches(task, data, [task.primary]):
        for log_probs, frames, text in zip(scores[task.primary], lengths, batch.references[task.primary], strict=True):
            if text is not None:
                said.append((np.ascontiguousarray(log_probs[:frames]), text))
    return vocabulary, said
