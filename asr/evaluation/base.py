"""What the evaluation of every system shares: options, result, and `evaluate_model`, which picks the system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from asr.errors import InputError
from asr.models import directory
from asr.output.caption_sheet import Entry
from asr.utils.progress import Progress, no_progress


@dataclass(frozen=True)
class EvaluationOptions:
    """Options of an evaluation; `reject` refuses those that a system does not have.

    Attributes:
        decoder: options of the decoder or search, over those of the model directory.
        head: the head to score; None scores all heads that have references.
        by_speaker: report each speaker too.
        details: report each utterance too.
        worst: number of the worst items to show.
        html: collect the worst and best items for a page of images.
        device: where the network runs.
        batch_seconds: audio in a batch, in seconds.
        progress: draws a progress bar.
    """

    decoder: Mapping[str, Any] = field(default_factory=dict)
    head: str | None = None
    by_speaker: bool = False
    details: bool = False
    worst: int = 5
    html: bool = False
    device: str = "cpu"
    batch_seconds: float = 240.0
    progress: Progress = no_progress

    def reject(self, kind: str, *names: str) -> None:
        """Raise InputError for those of the named options that are set, which models of this kind do not have."""
        given = [name for name in names if getattr(self, name) not in (None, False, {})]
        if given:
            raise InputError(f"a model of type {kind} has no option {', '.join(given)}")


@dataclass(frozen=True)
class Evaluation:
    """Result of an evaluation.

    Attributes:
        text: the figures as tables and lines, to print.
        figures: the figures as JSON values.
        details: a JSON object per utterance.
        page: sections of a page of images, (heading, entries), for `asr.output.caption_sheet.write_page`.
    """

    text: str
    figures: dict[str, Any]
    details: Sequence[Mapping[str, Any]] = ()
    page: Sequence[tuple[str, Sequence[Entry]]] = ()


class Evaluate(Protocol):
    """The function of a system that scores models: one, or an ensemble where the system has ensembles."""

    def __call__(self, models: Sequence[Path], data: Sequence[str], options: EvaluationOptions) -> Evaluation:
        """Score model directories on data files. Raises InputError for data or options that the system cannot use."""


def evaluate_model(
    model: str | Path, data: Sequence[str], *, ensemble: Sequence[str | Path] = (), **options: Any
) -> Evaluation:
    """Score a model of any system on data of its kind.

    Args:
        model: a model directory or training run.
        data: manifests of speech, caption manifests, parallel texts or text files, as the system reads them.
        ensemble: further models that predict together with the first one (captions, pronunciations).
        **options: see `EvaluationOptions`.

    Raises:
        InputError: model or data cannot be read, or the system does not have an option.
    """
    models = [directory.find(path) for path in (model, *ensemble)]
    for path in data:
        if any((place / directory.CONFIG).is_file() for place in (Path(path), Path(path, "model"))):
            raise InputError(f"{path}: a model, not data; models are compared by asr compare A B DATA")
    evaluate: Evaluate = directory.system_of(directory.read_config(models[0])).load("evaluate")
    return evaluate(models, list(data), EvaluationOptions(**options))


def single_model(models: Sequence[Path], kind: str) -> Path:
    """Return the only model. Raises InputError for an ensemble of models of this kind."""
    if len(models) > 1:
        raise InputError(f"ensembles are for captioners and seq2seq models, not for models of type {kind}")
    return models[0]
