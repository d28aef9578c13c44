"""Tune the weights of a beam search on dev data: the network runs once, the search once per trial."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr.data import manifest
from asr.data.speech_dataset import SpeechDataset
from asr.errors import InputError
from asr.evaluation.confidence import (
    Confidences,
    StoredScores,
    fit_confidences,
    report_hypotheses,
    search_best,
    store_other_scores,
    store_scores,
)
from asr.evaluation.report import Report
from asr.evaluation.speech import error_kinds
from asr.inference.decoders.beam import TUNABLE, BeamDecoder
from asr.inference.recognizer import Recognizer
from asr.models import decoder_files
from asr.models import directory as model_directory
from asr.utils.atomic import write_atomic
from asr.utils.json_files import write_json
from asr.utils.progress import Progress, no_progress

Values = Mapping[str, Sequence[float]]

# Values to try by default for each kind of language model; beams come last, with the weights at their best.
WORD_VALUES = {"lm_weight": (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0), "word_bonus": (-2.0, -1.0, 0.0, 1.0, 2.0, 3.0)}
UNKNOWN_VALUES = {"unknown_words": (-20.0, -10.0, -5.0)}  # where dev has words that the model of words lacks
CHARACTER_VALUES = {"character_weight": (0.2, 0.4, 0.6, 0.8, 1.0), "character_bonus": (0.0, 0.5, 1.0, 1.5)}
NEURAL_VALUES = {"neural_weight": (0.2, 0.4, 0.6, 0.8), "neural_bonus": (0.0, 0.5, 1.0, 1.5)}
RESCORING_VALUES = {"rescoring_weight": (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)}
BEAM_VALUES = {"beam": (25, 50, 100, 200)}
CARD_SECTION = "\n## Tuned decoder\n\n"  # of the model card; the last section
GREEDY_SENTENCE = r"Greedy decoding (?:unless a decoder is named|where nothing else is said)\. "  # of the model card
MAX_ROUNDS = 4  # of coordinate descent
NAMES = ("beam", *TUNABLE)


@dataclass(frozen=True)
class Trial:
    """One setting of the weights and its result.

    Attributes:
        weights: by name; "beam" among them.
        errors: word (or phone) errors.
        reference: reference tokens.
        real_time_factor: seconds of search per second of audio.
    """

    weights: Mapping[str, Any]
    errors: int
    reference: int
    real_time_factor: float

    @property
    def rate(self) -> float:
        """Error rate, as a fraction."""
        return self.errors / max(self.reference, 1)


@dataclass(frozen=True)
class TuneResult:
    """Result of `tune_model`.

    Attributes:
        best: the best trial.
        trials: all trials in their order.
        error_kind: "wer" or "per": what the trials count.
        confidences: how words are judged; None where nothing is recognized.
        unknown_words: number of words of the references that the n-gram model of words lacks, and of all; None without
            a model.
    """

    best: Trial
    trials: Sequence[Trial]
    error_kind: str
    confidences: Confidences | None
    unknown_words: tuple[int, int] | None = None


def tune_model(
    model: str | Path,
    data: Sequence[str],
    *,
    decoder: Mapping[str, Any] | None = None,
    head: str | None = None,
    values: Values | None = None,
    device: str = "cpu",
    save: bool = True,
    begin: Callable[[Sequence[str], str], None] = lambda names, error_kind: None,
    report: Callable[[Trial], None] = lambda trial: None,
    progress: Progress = no_progress,
) -> TuneResult:
    """Find the weights and the beam with the lowest error rate, and fit the confidences.

    These are fitted on speech that cannot be understood too, see `asr.evaluation.confidence`.

    Args:
        model: a model directory or training run.
        data: manifests of dev data, never of test data.
        decoder: options of the beam search (language model, lexicon …), over those of the model directory.
        head: the head to decode; None takes the model's.
        values: values to try by weight, over the default ones; "beam" is one of the weights.
        device: where the network runs.
        save: write the result to the model directory, with copies of the language models and dictionaries.
        begin: receives the names of the weights and the error kind before the first trial.
        report: receives each trial when it is done.
        progress: draws a progress bar while the network runs.

    Raises:
        InputError: model, data or options cannot be used, or no utterance has a reference.
    """
    directory = model_directory.find(model)
    if save and model_directory.is_of_hub(directory):
        raise InputError(f"{model}: a model of another toolkit keeps no settings; --dry-run prints the best ones")
    if unknown := [name for name in values or {} if name not in NAMES]:
        raise InputError(f"{', '.join(unknown)}: the weights of a search are {', '.join(NAMES)}")
    head, options = decoder_files.decoder_config(directory, decoder or {}, head)
    given = (decoder or {}).get("min_confidence")
    options |= {"type": "beam", "calibration": None}
    loaded = Recognizer.load(directory, device=device, head=head, decoder=options)
    search = loaded.decoder
    assert isinstance(search, BeamDecoder)
    cuts = [cut for path in data for cut in manifest.read(path)]
    lacking = count_unknown_words(search, [manifest.text(cut) for cut in cuts])
    tried = UNKNOWN_VALUES if lacking and lacking[0] and search.vocabulary.kind == "characters" else {}
    grid = {**default_values(search), **tried, **(values or {})}
    start = {name: search.weights[name] for name in grid}
    dataset = SpeechDataset(cuts, {head: search.scoring_vocabulary}, loaded.sample_rate, encode=False)
    with progress(3 * sum(dataset.seconds), "computing scores") as advance:
        scores = store_scores(loaded.task, dataset, head, advance)
        others = store_other_scores(loaded.task, dataset, head, advance)
    error_kind = error_kinds(search.scoring_vocabulary)[0]
    begin(list(grid), error_kind)
    best, trials = tune(search, scores, start, grid, report)
    confidences = fit_confidences(search.with_weights(**best.weights), scores, others, given)
    if confidences is not None:
        options["calibration"] = list(confidences.calibration)
        if len(confidences.calibration) > 2:
            options["min_confidence"] = confidences.min_confidence
    if save:
        decoder_files.set_decoder(directory, {"head": head, **options, **best.weights})
        record_tuning(directory, best, error_kind, data)
    return TuneResult(best, trials, error_kind, confidences, lacking)


def record_tuning(directory: Path, best: Trial, error_kind: str, data: Sequence[str]) -> None:
    """Add the tuned decoder and its dev figure to the metrics and the model card of a model directory."""
    metrics, card = directory / model_directory.METRICS, directory / model_directory.CARD
    weights = {name: value for name, value in best.weights.items() if value is not None}
    figures = json.loads(metrics.read_text(encoding="utf-8")) if metrics.is_file() else {}
    figures["tuned"] = {error_kind: best.rate, "data": ", ".join(Path(path).name for path in data), **weights}
    write_json(metrics, figures)
    settings = ", ".join(f"{name} {value:g}" for name, value in weights.items())
    section = (
        f"{CARD_SECTION}The model decodes by beam search since `asr tune`: {settings}. {error_kind.upper()} on the "
        f"data that it was tuned on, {figures['tuned']['data']}: {100 * best.rate:.2f} %.\n"
    )
    before = card.read_text(encoding="utf-8") if card.is_file() else ""
    before = re.sub(GREEDY_SENTENCE, "The figures in the table are of greedy decoding. ", before)
    write_atomic(card, (before.partition(CARD_SECTION)[0] + section).encode())


def count_unknown_words(decoder: BeamDecoder, texts: Sequence[str]) -> tuple[int, int] | None:
    """Count the words of texts that a decoder's n-gram model of words lacks, and all; None without one."""
    words = decoder.models.words
    if words is None or words.ngram is None:
        return None
    normalization = decoder.scoring_vocabulary.normalization
    spoken = [word for text in texts for word in normalization.apply(text).split()]
    return sum(word not in words.ngram.index for word in spoken), len(spoken)


def default_values(decoder: BeamDecoder) -> dict[str, Sequence[float]]:
    """Return the values to try for the language models that a decoder has."""
    words, labels, neural, rescoring = decoder.models
    values: dict[str, Sequence[float]] = {}
    if words is not None and words.ngram is not None:
        values |= WORD_VALUES
    if labels is not None:
        values |= CHARACTER_VALUES
    if neural is not None:
        values |= NEURAL_VALUES
    if rescoring is not None:
        values |= RESCORING_VALUES
    return values | BEAM_VALUES


def tune(
    decoder: BeamDecoder,
    scores: StoredScores,
    start: Mapping[str, float],
    values: Values,
    report: Callable[[Trial], None],
) -> tuple[Trial, list[Trial]]:
    """Minimize the errors by coordinate descent.

    One weight after another takes the best of its ``values`` with the others fixed, from ``start`` on, until none
    changes or `MAX_ROUNDS` are done; then the beams are tried. Of equal error counts the first one wins, which for
    beams is the narrowest.

    Returns:
        The best trial, and all trials; ``report`` receives each when it is done.
    """
    trials: dict[tuple[tuple[str, float], ...], Trial] = {}

    def trial(weights: Mapping[str, float]) -> Trial:
        key = tuple(sorted(weights.items()))
        if key not in trials:
            trials[key] = measure(decoder.with_weights(**weights), scores, weights)
            report(trials[key])
        return trials[key]

    best = trial(start)
    coordinates = {name: options for name, options in values.items() if name != "beam"}
    for _ in range(MAX_ROUNDS):
        before = best
        for name, options in coordinates.items():
            best = min([best, *(trial({**best.weights, name: value}) for value in options)], key=lambda t: t.errors)
        if best is before:
            break
    beams = sorted(values.get("beam", ()))
    if beams:
        best = min([*(trial({**best.weights, "beam": beam}) for beam in beams), best], key=lambda t: t.errors)
    return best, list(trials.values())


def measure(decoder: BeamDecoder, scores: StoredScores, weights: Mapping[str, float]) -> Trial:
    """Decode stored scores and return errors and speed."""
    began = time.perf_counter()
    report = decode_report(decoder, scores)
    seconds = time.perf_counter() - began
    counts = next(iter(report.totals.values()))
    audio = sum(batch.seconds for batch, _, _ in scores)
    return Trial(dict(weights), counts.errors, counts.reference, seconds / audio)


def decode_report(decoder: BeamDecoder, scores: StoredScores) -> Report:
    """Decode stored scores and compute the error rates. Raises InputError when no utterance has a reference."""
    head = next(iter(scores[0][1]))
    return report_hypotheses(
        decoder, head, [(batch, search_best(decoder, frames[head], lengths)) for batch, frames, lengths in scores]
    )
