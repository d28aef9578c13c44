"""Score a task on utterances. (Lightning is not needed for that, nor imported.)"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from asr.data.batch import Batch
from asr.data.sampler import plan_batches
from asr.data.speech_dataset import SpeechDataset
from asr.decoding.hypothesis import Hypothesis
from asr.errors import InputError
from asr.evaluation.report import Report, evaluate_pairs
from asr.inference.decoders.base import Decoder
from asr.inference.decoders.greedy import GreedyDecoder
from asr.tasks.ctc import CTCTask
from asr.text.vocabulary import Vocabulary


def kinds_of(vocabulary: Vocabulary) -> tuple[Any, ...]:
    """The error rates that text of a vocabulary is scored by, the telling one first."""
    return ("per",) if vocabulary.kind == "phones" else ("wer", "cer")


def batches(dataset: SpeechDataset, max_seconds: float) -> Iterator[Batch]:
    """All utterances once, in padded batches, longest first: what does not fit in memory fails at once."""
    for indices in reversed(plan_batches(dataset.seconds, max_seconds)):
        yield dataset.collate([dataset[index] for index in indices])


class Pairs:
    """References and decoded texts of each head, collected batch by batch."""

    def __init__(self, decoders: Mapping[str, Decoder]) -> None:
        self.decoders = decoders
        self.rows: dict[str, list[tuple[str, str, str, list[float] | None]]] = {head: [] for head in decoders}

    def add(self, batch: Batch, found: Mapping[str, Sequence[Hypothesis]]) -> None:
        """Add a batch and its hypotheses; utterances without a reference for a head are left out there."""
        for head, decoder in self.decoders.items():
            for id, text, hypothesis in zip(batch.ids, batch.references[head], found[head], strict=True):
                if text is not None:
                    decoded = decoder.scoring_vocabulary.scoring(decoder.text(hypothesis))
                    confidence: list[float] | None = decoder.confidence(hypothesis)
                    if len(confidence or ()) != len(decoded.split()):
                        confidence = None  # scoring has folded or parted words
                    self.rows[head].append((id, text, decoded, confidence))

    def decode(self, batch: Batch, scores: Mapping[str, np.ndarray], frames: np.ndarray) -> None:
        """Add a batch by what the decoders make of its scores (N, T, V) of each head, with lengths (N,)."""
        self.add(batch, {h: [best for best, *_ in d.search(scores[h], frames)] for h, d in self.decoders.items()})

    def report(self, head: str, by: Mapping[str, str] | None = None) -> Report:
        """Error rates of one head; InputError when no utterance has a reference for it."""
        if not (rows := self.rows[head]):
            raise InputError(f"no utterance has a reference for the head {head!r} (phones in the manifest?)")
        ids, references, decoded, confidences = zip(*rows, strict=True)
        kinds = kinds_of(self.decoders[head].scoring_vocabulary)
        return evaluate_pairs(ids, references, decoded, kinds, by=by, confidences=confidences)


def greedy_decoders(task: CTCTask) -> dict[str, Decoder]:
    """The greedy decoder of each head."""
    return {head: GreedyDecoder(vocabulary) for head, vocabulary in task.vocabularies.items()}


@torch.inference_mode()
def scored(
    task: CTCTask, dataset: SpeechDataset, heads: Sequence[str], max_seconds: float = 240.0
) -> Iterator[tuple[Batch, dict[str, np.ndarray], np.ndarray]]:
    """Batches of a dataset with what the network says of them: natural logs (N, T, V) of each head, lengths (N,)."""
    was_training, device = task.training, next(task.parameters()).device
    task.eval()
    for batch in batches(dataset, max_seconds):
        scores, lengths = task(batch.inputs.to(device), batch.lengths.to(device), heads)
        yield batch, {head: log_probs.cpu().numpy() for head, log_probs in scores.items()}, lengths.cpu().numpy()
    task.train(was_training)


def evaluate(
    task: CTCTask,
    dataset: SpeechDataset,
    *,
    decoders: Mapping[str, Decoder] | None = None,
    max_seconds: float = 240.0,
    by: Mapping[str, str] | None = None,
    progress: Callable[[float], None] = lambda seconds: None,
) -> dict[str, Report]:
    """Decode a dataset and report each head that has references.

    ``decoders``: of the heads to decode (all, greedily). The dataset's references must be of their scoring
    vocabularies. ``progress`` gets seconds of audio done.
    """
    decoders = decoders or greedy_decoders(task)
    pairs = Pairs(decoders)
    for batch, scores, frames in scored(task, dataset, list(decoders), max_seconds):
        pairs.decode(batch, scores, frames)
        progress(batch.seconds)
    return {head: pairs.report(head, by) for head, rows in pairs.rows.items() if rows}
