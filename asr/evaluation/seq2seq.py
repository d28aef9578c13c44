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
from asr.evaluation.base import Evaluation, EvaluationOptions
from asr.metrics.error_rate import ErrorCounts, count_nearest
from asr.metrics.significance import bootstrap_interval, json_interval, with_interval, with_legend
from asr.models import store
from asr.tasks.encoder_decoder import search
from asr.tasks.seq2seq import Seq2SeqTask
from asr.text.phones import without_stress
from asr.text.vocabulary import Vocabulary


def evaluate_tasks(
    tasks: Sequence[Seq2SeqTask], texts: ParallelTexts, options: LabelBeamOptions | None = None, labels: int = 4000
) -> dict[str, Any]:
    """Return the `error_rates` of one task or an ensemble on parallel texts, in batches of at most ``labels``."""
    first = tasks[0]
    device = first.network.device
    data = PairDataset(texts, first.source, first.vocabulary, first_only=True)
    hypotheses: list[str] = []
    references: list[Sequence[str]] = []
    with torch.inference_mode():
        for indices in plan_batches(data.sizes, labels):
            batch = data.collate([data[index] for index in indices])
            best = search(tasks, batch.inputs.to(device), batch.lengths, options)
            hypotheses += [first.vocabulary.decode(n_best[0].labels) for n_best in best]
            references += batch.references
    return error_rates(first.vocabulary, hypotheses, references)


def error_rates(
    vocabulary: Vocabulary, hypotheses: Sequence[str], references: Sequence[Sequence[str]]
) -> dict[str, Any]:
    """Compute the rates of wrong labels and of wrong sequences; of phones with stress, also without stress.

    Of several references the nearest one counts.
    """
    counts = {"": error_counts(vocabulary, hypotheses, references)}
    if vocabulary.kind == "phones" and any(token[-1] in "012" for token in vocabulary.tokens):
        plain = [[without_stress(text) for text in texts] for texts in references]
        counts["_without_stress"] = error_counts(vocabulary, list(map(without_stress, hypotheses)), plain)
    figures: dict[str, Any] = {"sequences": len(hypotheses)}
    intervals: dict[str, list[float | None]] = {}
    for suffix, own in counts.items():
        whole = [ErrorCounts.of_whole(c.errors == 0) for c in own]
        figures |= {f"{name}{suffix}": rate for name, rate in _rates(own).items()}
        intervals[f"label_error{suffix}"] = json_interval(bootstrap_interval(own))
        intervals[f"sequence_error{suffix}"] = json_interval(bootstrap_interval(whole))
    return figures | {"interval_95": intervals}


def label_and_sequence_error(
    vocabulary: Vocabulary, hypotheses: Sequence[str], references: Sequence[Sequence[str]]
) -> dict[str, float]:
    """Compute the label error rate and the rate of sequences with an error."""
    return _rates(error_counts(vocabulary, hypotheses, references))


def _rates(counts: Sequence[ErrorCounts]) -> dict[str, float]:
    wrong = sum(counted.errors > 0 for counted in counts)
    return {"label_error": sum(counts, ErrorCounts()).rate, "sequence_error": wrong / len(counts)}


def error_counts(
    vocabulary: Vocabulary, hypotheses: Sequence[str], references: Sequence[Sequence[str]]
) -> list[ErrorCounts]:
    """Count the errors of each hypothesis against the nearest of its references."""
    units = str.split if vocabulary.kind in ("phones", "words") else list
    return [count_nearest([units(r) for r in right], units(w)) for w, right in zip(hypotheses, references, strict=True)]


def line(figures: Mapping[str, Any]) -> str:
    """Format the figures of `error_rates` as one line."""
    intervals = figures.get("interval_95", {})
    shares = ", ".join(
        f"{name.replace('_', ' ')} {with_interval(value, intervals.get(name, ()))} %"
        for name, value in figures.items()
        if "error" in name
    )
    return f"{figures['sequences']} sequences: {shares}"


def evaluate(models: Sequence[Path], data: Sequence[str], options: EvaluationOptions) -> Evaluation:
    """Score a seq2seq model or an ensemble on parallel texts; see `asr.evaluation.base.Evaluate`."""
    options.reject("seq2seq", "head", "by_speaker", "details", "html")
    tasks = [store.load(model, Seq2SeqTask) for model in models]
    search_options = beam.replace_options(tasks[0].options, options.decoder)
    figures = {path: evaluate_tasks(tasks, pairs.read(path), search_options) for path in data}
    text = "\n".join(f"{path}: {line(summary)}" for path, summary in figures.items())
    return Evaluation(with_legend(text, ["sequences"]), figures)
