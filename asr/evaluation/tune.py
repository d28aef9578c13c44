"""The numbers of a beam search that give the lowest error rate on dev. The network runs once, the search many times."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asr.data.batch import SpeechBatch
from asr.data.speech_dataset import SpeechDataset
from asr.errors import InputError
from asr.evaluation.ctc import DecodedTexts, log_prob_batches
from asr.evaluation.report import Report
from asr.inference.decoders.beam import BeamDecoder
from asr.tasks.ctc import CTCTask

# of each batch: itself without its audio, scores (N, T, V) of the head, lengths (N,)
Stored = Sequence[tuple[SpeechBatch, dict[str, np.ndarray], np.ndarray]]
Values = Mapping[str, Sequence[float]]

# What is tried, of a model of words and of those of characters; the beam comes last, with the rest at its best.
WORD_VALUES = {"lm_weight": (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0), "word_bonus": (-2.0, -1.0, 0.0, 1.0, 2.0, 3.0)}
CHARACTER_VALUES = {"character_weight": (0.2, 0.4, 0.6, 0.8, 1.0), "character_bonus": (0.0, 0.5, 1.0, 1.5)}
NEURAL_VALUES = {"neural_weight": (0.2, 0.4, 0.6, 0.8), "neural_bonus": (0.0, 0.5, 1.0, 1.5)}
BEAM_VALUES = {"beam": (25, 50, 100, 200)}
ROUNDS = 4


@dataclass(frozen=True)
class Trial:
    """Numbers of a search and what came out: errors in so many reference tokens, seconds of search for one of audio."""

    numbers: Mapping[str, float]
    errors: int
    reference: int
    real_time_factor: float

    @property
    def rate(self) -> float:
        """Error rate."""
        return self.errors / max(self.reference, 1)


def values_for(decoder: BeamDecoder) -> dict[str, Sequence[float]]:
    """What is worth trying for a decoder's models."""
    words, letters, neural = decoder.models
    found: dict[str, Sequence[float]] = {}
    if words is not None and words.ngram is not None:
        found |= WORD_VALUES
    if letters is not None:
        found |= CHARACTER_VALUES
    if neural is not None:
        found |= NEURAL_VALUES
    return found | BEAM_VALUES


def store(task: CTCTask, dataset: SpeechDataset, head: str, progress: Callable[[float], None]) -> Stored:
    """What the network says of a dataset."""
    stored = []
    for batch, scores, frames in log_prob_batches(task, dataset, [head]):
        stored.append((replace(batch, inputs=torch.empty(0)), scores, frames))
        progress(batch.seconds)
    return stored


def tune(
    decoder: BeamDecoder, stored: Stored, numbers: Mapping[str, float], values: Values, report: Callable[[Trial], None]
) -> tuple[Trial, list[Trial]]:
    """The best trial and all of them, each given to ``report`` as it is done.

    One number after another takes the best of its ``values``, the others as they are (at first ``numbers``), until none
    changes any more: coordinate descent. Of equal error rates the first one wins, which for beams is the narrowest.
    """
    trials: dict[tuple[tuple[str, float], ...], Trial] = {}

    def trial(wanted: Mapping[str, float]) -> Trial:
        key = tuple(sorted(wanted.items()))
        if key not in trials:
            trials[key] = measure(decoder.with_weights(**wanted), stored, wanted)
            report(trials[key])
        return trials[key]

    best = trial(numbers)
    first = {name: options for name, options in values.items() if name != "beam"}
    for _ in range(ROUNDS):
        before = best
        for name, options in first.items():
            best = min([best, *(trial({**best.numbers, name: value}) for value in options)], key=lambda t: t.errors)
        if best is before:
            break
    beams = sorted(values.get("beam", ()))
    if beams:
        best = min([*(trial({**best.numbers, "beam": beam}) for beam in beams), best], key=lambda t: t.errors)
    return best, list(trials.values())


def measure(decoder: BeamDecoder, stored: Stored, numbers: Mapping[str, float]) -> Trial:
    """Errors and speed of one decoder."""
    began = time.perf_counter()
    pairs = decoded(decoder, stored)
    seconds = time.perf_counter() - began
    counts = next(iter(report_of(pairs).totals.values()))
    audio = sum(batch.seconds for batch, _, _ in stored)
    return Trial(dict(numbers), counts.errors, counts.reference, seconds / audio)


def decoded(decoder: BeamDecoder, stored: Stored) -> DecodedTexts:
    """What a decoder makes of stored scores."""
    head = next(iter(stored[0][1]))
    pairs = DecodedTexts({head: decoder})
    for batch, scores, frames in stored:
        pairs.decode(batch, scores, frames)
    return pairs


def report_of(pairs: DecodedTexts) -> Report:
    """Error rates of what was `decoded`."""
    (head,) = pairs.decoders
    if not pairs.rows[head]:
        raise InputError("no utterance has a reference to tune by")
    return pairs.report(head)


def draw(path: str | Path, best: Trial, trials: Sequence[Trial], rate_name: str) -> None:
    """A picture: the error rate against each number, the others as in the best trial."""
    from matplotlib.figure import Figure

    names = [name for name in best.numbers if len({trial.numbers[name] for trial in trials}) > 1]
    figure = Figure(figsize=(4 * max(len(names), 1), 3.2), layout="constrained")
    for axes, name in zip(figure.subplots(1, max(len(names), 1), squeeze=False)[0], names, strict=False):
        others = {key: value for key, value in best.numbers.items() if key != name}
        along: list[Any] = sorted(
            (trial.numbers[name], 100 * trial.rate)
            for trial in trials
            if all(trial.numbers[key] == value for key, value in others.items())
        )
        axes.plot(*zip(*along, strict=True), marker="o")
        axes.plot(best.numbers[name], 100 * best.rate, marker="o", color="black")
        axes.set_xlabel(name)
        axes.set_ylabel(f"{rate_name} %")
    figure.savefig(path)
