"""Evaluate seq2seq models: label and sequence error rates on parallel texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from asr.data import pairs
from asr.data.pairs import PairDataset, ParallelTexts
from asr.data.sampler import plan_batches
from asr.decoding.label import beam
from asr.decoding.label.beam import LabelBeamOptions
from asr.evaluation import seq2seq as pair_training
from asr.evaluation.scores import Changes, Scores
from asr.metrics.error_rate import ErrorCounts, count_nearest
from asr.models import store
from asr.tasks.encoder_decoder import search
from asr.tasks.seq2seq import Seq2SeqTask
from asr.text.phones import without_stress
from asr.text.vocabulary import Vocabulary


def evaluate(
    tasks: Sequence[Seq2SeqTask], found: ParallelTexts, options: LabelBeamOptions | None = None, labels: int = 4000
) -> dict[str, Any]:
    """What one model, or several together, get wrong of pairs, as `errors` counts it."""
    first = tasks[0]
    device = first.network.device
    data = PairDataset(found, first.source, first.vocabulary, one=True)
    written: list[str] = []
    references: list[Sequence[str]] = []
    with torch.inference_mode():
        for indices in plan_batches(data.sizes, labels):
            batch = data.collate([data[index] for index in indices])
            best = search(tasks, batch.inputs.to(device), batch.lengths, options)
            written += [first.vocabulary.decode(n_best[0].labels) for n_best in best]
            references += batch.references
    return errors(first.vocabulary, written, references)


def errors(vocabulary: Vocabulary, written: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Shares of labels and of whole sequences that are wrong; of phones with stress, without it as well.

    Of several references the nearest counts.
    """
    figures: dict[str, Any] = {"sequences": len(written)} | _errors(vocabulary, written, references)
    if vocabulary.kind == "phones" and any(token[-1] in "012" for token in vocabulary.tokens):
        plain = [[without_stress(text) for text in texts] for texts in references]
        found = _errors(vocabulary, list(map(without_stress, written)), plain)
        figures |= {f"{name}_without_stress": value for name, value in found.items()}
    return figures


def _errors(vocabulary: Vocabulary, written: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    counts = _counts(vocabulary, written, references)
    wrong = sum(counted.errors > 0 for counted in counts)
    return {"label_error": sum(counts, ErrorCounts()).rate, "sequence_error": wrong / len(counts)}


def _counts(vocabulary: Vocabulary, written: Sequence[str], references: Sequence[Sequence[str]]) -> list[ErrorCounts]:
    """What is wrong in each text beside the nearest of its references."""
    units = str.split if vocabulary.kind in ("phones", "words") else list
    return [count_nearest([units(r) for r in right], units(w)) for w, right in zip(written, references, strict=True)]


def line(figures: Mapping[str, Any]) -> str:
    """Figures of `errors` on one line."""
    shares = ", ".join(f"{name.replace('_', ' ')} {100 * v:.2f} %" for name, v in figures.items() if "error" in name)
    return f"{figures['sequences']} sequences: {shares}"


def seq2seq(models: Sequence[Path], data: str, options: Changes, worst: int) -> Scores:
    """Errors in a file of pairs."""
    tasks = [store.load(model, Seq2SeqTask) for model in models]
    search = beam.replace_options(tasks[0].options, options)
    figures = pair_training.evaluate(tasks, pairs.read(data), search)
    return Scores(figures, pair_training.line(figures))
