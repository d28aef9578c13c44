"""Log-probabilities to search: generated, or of a trained model."""

from __future__ import annotations

import numpy as np

from asr.data import manifest
from asr.data.speech_dataset import SpeechDataset
from asr.evaluation.speech import output_batches
from asr.models import directory, store
from asr.tasks.ctc import CTCTask
from asr.text.vocabulary import Vocabulary

Utterances = list[tuple[np.ndarray, str]]
"""Log-probabilities (T, V) and reference text of each utterance."""


def generate_scores(path: np.ndarray, labels: int, boost: float, rng: np.random.Generator) -> np.ndarray:
    """Return noisy log-probabilities (T, labels), float32, with ``boost`` on the path (T,) of labels."""
    logits = rng.normal(0, 1, (len(path), labels))
    logits[np.arange(len(path)), path] += boost
    log_probs: np.ndarray = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    return log_probs.astype(np.float32)


def model_scores(model: str, path: str, max_utterances: int | None) -> tuple[Vocabulary, Utterances]:
    """Return the vocabulary of a model's first head, and its scores of up to ``max_utterances`` utterances.

    The peers are set up for the blank as label 0; another one stops the program.
    """
    task = store.load(directory.find(model), CTCTask)
    vocabulary = task.vocabularies[task.primary]
    if vocabulary.blank != 0:
        raise SystemExit(f"{model}: its blank is label {vocabulary.blank}; the peers are set up for 0")
    data = SpeechDataset(manifest.read(path)[:max_utterances], {task.primary: vocabulary}, task.features.sample_rate)
    utterances = []
    for batch, scores, lengths in output_batches(task, data, [task.primary]):
        for log_probs, frames, text in zip(scores[task.primary], lengths, batch.references[task.primary], strict=True):
            if text is not None:
                utterances.append((np.ascontiguousarray(log_probs[:frames]), text))
    return vocabulary, utterances
