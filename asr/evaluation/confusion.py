"""Confusion matrix of a recognizer: what each phone or character was recognized as."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr.errors import InputError
from asr.evaluation.base import evaluate_model
from asr.metrics.error_rate import Kind, align, tokens
from asr.models.directory import find, read_config
from asr.text.phones import BY_MANNER
from asr.utils.progress import Progress, no_progress

MAX_LABELS = 200  # rows of a matrix that can be seen


@dataclass(frozen=True)
class Confusion:
    """A confusion matrix.

    Attributes:
        labels: names of the L labels, phones by manner of articulation.
        counts: (L + 1, L + 1), rows references, columns hypotheses; the last row has insertions, the last column
            deletions.
        head: the head that was decoded.
        kind: of the labels.
    """

    labels: Sequence[str]
    counts: np.ndarray
    head: str
    kind: Kind

    @property
    def error_rate(self) -> float:
        """Errors per label of the references."""
        right = np.trace(self.counts[:-1, :-1])
        return float((self.counts.sum() - right) / max(self.counts[:-1].sum(), 1))

    def most_frequent(self, number: int) -> list[tuple[int, str, str]]:
        """Return the most frequent substitutions: (times, spoken, recognized)."""
        counts = self.counts[:-1, :-1].copy()
        np.fill_diagonal(counts, 0)
        order = np.argsort(-counts, axis=None, kind="stable")[:number]
        rows, columns = np.unravel_index(order, counts.shape)
        found = zip(counts[rows, columns].tolist(), rows.tolist(), columns.tolist(), strict=True)
        return [(times, self.labels[row], self.labels[column]) for times, row, column in found if times]


def confuse(
    model: str | Path,
    data: Sequence[str],
    *,
    head: str | None = None,
    device: str = "cpu",
    progress: Progress = no_progress,
) -> Confusion:
    """Decode data greedily and count what was recognized as what.

    Args:
        model: a recognizer, as in `asr.models.directory.find`.
        data: manifests, with phones for a head of phones.
        head: the head that is decoded; None: the first one of phones, or else the first.
        device: where the network runs.
        progress: draws a progress bar.

    Raises:
        InputError: model or data cannot be used, see `asr.evaluation.base.evaluate_model`, or there are more than
            `MAX_LABELS` labels.
    """
    heads = read_config(find(model))["task"].get("heads") or {}
    of_phones = [name for name, options in heads.items() if options.get("kind") == "phones"]
    head = head or next(iter(of_phones or heads), None)
    evaluation = evaluate_model(
        model, data, head=head, decoder={"type": "greedy"}, details=True, worst=0, device=device, progress=progress
    )
    kind: Kind = "per" if head in of_phones else "cer"
    pairs = ((row["reference"], row["hypothesis"]) for row in evaluation.details if "hypothesis" in row)
    counts = count_pairs((tokens(kind, reference), tokens(kind, hypothesis)) for reference, hypothesis in pairs)
    labels = sorted({label for pair in counts for label in pair if label is not None}, key=_order)
    if not labels:
        raise InputError(f"{model}: there is nothing to compare; a recognizer, and data with references, are needed")
    if len(labels) > MAX_LABELS:
        raise InputError(f"{model}: {len(labels)} labels are too many for a picture, at most {MAX_LABELS} fit")
    numbers: dict[str | None, int] = {label: number for number, label in enumerate(labels)} | {None: len(labels)}
    matrix = np.zeros((len(labels) + 1, len(labels) + 1), dtype=np.int64)
    for (reference, hypothesis), times in counts.items():
        matrix[numbers[reference], numbers[hypothesis]] += times
    return Confusion(["␣" if label == " " else label for label in labels], matrix, str(head), kind)


def count_pairs(
    pairs: Iterable[tuple[Sequence[str], Sequence[str]]],
) -> Counter[tuple[str | None, str | None]]:
    """Count the aligned pairs of reference and hypothesis tokens; None stands where there is no token."""
    counts: Counter[tuple[str | None, str | None]] = Counter()
    for reference, hypothesis in pairs:
        counts.update((left, right) for _, left, right in align(reference, hypothesis))
    return counts


def _order(label: str) -> tuple[int, str]:
    return (BY_MANNER.index(label) if label in BY_MANNER else len(BY_MANNER), label)
