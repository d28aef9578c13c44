"""Score a task on utterances. (Lightning is not needed for that, nor imported.)"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch

from asr.data.batch import Batch
from asr.data.sampler import plan_batches
from asr.data.speech import SpeechDataset
from asr.decoding.hypothesis import Hypothesis
from asr.errors import InputError
from asr.evaluation.report import Report, evaluate_pairs
from asr.tasks.ctc import CTCTask


def kinds_of(task: CTCTask, head: str) -> tuple[Any, ...]:
    """The error rates that a head is scored by, the telling one first."""
    return ("per",) if task.vocabularies[head].kind == "phones" else ("wer", "cer")


def batches(dataset: SpeechDataset, max_seconds: float) -> Iterator[Batch]:
    """All utterances once, in padded batches, longest first: what does not fit in memory fails at once."""
    for indices in reversed(plan_batches(dataset.seconds, max_seconds)):
        yield dataset.collate([dataset[index] for index in indices])


@torch.inference_mode()
def hypotheses(task: CTCTask, batch: Batch, device: torch.device) -> dict[str, list[Hypothesis]]:
    """Each head's best hypothesis of each utterance in a batch."""
    batch = batch.to(device)
    scores, lengths = task(batch.inputs, batch.lengths)
    return task.hypotheses(scores, lengths)


class Pairs:
    """References and decoded texts of each head, collected batch by batch."""

    def __init__(self, task: CTCTask) -> None:
        self.task = task
        self.rows: dict[str, list[tuple[str, str, str]]] = {head: [] for head in task.vocabularies}

    def add(self, batch: Batch, found: Mapping[str, Sequence[Hypothesis]]) -> None:
        """Add a batch and its hypotheses; utterances without a reference for a head are left out there."""
        for head, vocabulary in self.task.vocabularies.items():
            for id, text, hypothesis in zip(batch.ids, batch.references[head], found[head], strict=True):
                if text is not None:
                    decoded = vocabulary.scoring(vocabulary.decode(hypothesis.labels))
                    self.rows[head].append((id, text, decoded))

    def report(self, head: str, by: Mapping[str, str] | None = None) -> Report:
        """Error rates of one head; InputError when no utterance has a reference for it."""
        if not (rows := self.rows[head]):
            raise InputError(f"no utterance has a reference for the head {head!r} (phones in the manifest?)")
        ids, references, decoded = zip(*rows, strict=True)
        return evaluate_pairs(ids, references, decoded, kinds_of(self.task, head), by=by)


def evaluate(
    task: CTCTask,
    dataset: SpeechDataset,
    *,
    max_seconds: float = 240.0,
    by: Mapping[str, str] | None = None,
    progress: Callable[[float], None] = lambda seconds: None,
) -> dict[str, Report]:
    """Decode a dataset greedily and report each head that has references; ``progress`` gets seconds of audio done."""
    was_training, device = task.training, next(task.parameters()).device
    task.eval()
    pairs = Pairs(task)
    for batch in batches(dataset, max_seconds):
        pairs.add(batch, hypotheses(task, batch, device))
        progress(batch.seconds)
    task.train(was_training)
    return {head: pairs.report(head, by) for head, rows in pairs.rows.items() if rows}
