"""Fit the confidences of a beam search on dev data: their calibration, and what is left out as not understood.

A recognizer finds words in any speech. So that it has no confidence in those of another language or of a crowd, the fit
also sees speech in which all words are wrong, made from the dev data: played backwards, and several voices at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from asr.data.batch import SpeechBatch
from asr.data.speech_dataset import SpeechDataset
from asr.decoding.hypothesis import Hypothesis
from asr.errors import InputError
from asr.evaluation.report import Report
from asr.evaluation.speech import DecodedTexts, output_batches
from asr.inference.decoders.beam import BeamDecoder
from asr.metrics.calibration import Calibration, concatenate, cross_validate, fit_calibration
from asr.tasks.speech_frontend import SpeechTask

# each batch without its audio, frames (N, T, D) of the head, log-probabilities of CTC, and lengths (N,)
StoredScores = Sequence[tuple[SpeechBatch, dict[str, np.ndarray], np.ndarray]]
Change = Callable[[SpeechBatch], SpeechBatch | None]

VOICES = 5  # at once
MIN_CONFIDENCES = (0.1, 0.07, 0.05, 0.03, 0.02, 0.01, 0.005, 0.0)
MAX_LOSS = 0.001  # of the reference words: how many more errors may leaving out words make


@dataclass(frozen=True)
class Confidences:
    """How the words of a search are judged.

    Attributes:
        calibration: see `asr.metrics.calibration.calibrate`.
        min_confidence: see `asr.inference.decoders.beam.BeamDecoder`.
        before: calibration error of the words of dev data before.
        after: the same after it, cross-validated on halves of the utterances.
        errors: errors in the dev data with all words, and without those that are left out.
        others: number of words in speech that cannot be understood.
        others_kept: how many of these are not left out.
        others_confidence: mean confidence of those; 0 if there are none.
    """

    calibration: tuple[float, ...]
    min_confidence: float
    before: Calibration
    after: Calibration
    errors: tuple[int, int]
    others: int
    others_kept: int
    others_confidence: float


def store_scores(
    task: SpeechTask,
    dataset: SpeechDataset,
    head: str,
    advance: Callable[[float], None] = lambda seconds: None,
    change: Change = lambda batch: batch,
) -> StoredScores:
    """Run the network over a dataset and keep the frames of one head; ``advance`` gets seconds of audio."""
    stored = []
    for batch, frames, lengths in output_batches(task, dataset, [head], change=change):
        stored.append((replace(batch, inputs=torch.empty(0)), frames, lengths))
        advance(batch.seconds)
    return stored


def play_backwards(batch: SpeechBatch) -> SpeechBatch:
    """Reverse the utterances of a batch in time."""
    inputs = torch.zeros_like(batch.inputs)
    for row, length in enumerate(batch.lengths.tolist()):
        inputs[row, :length] = batch.inputs[row, :length].flip(0)
    return replace(batch, inputs=inputs)


def mix_voices(batch: SpeechBatch) -> SpeechBatch | None:
    """Add up every `VOICES` waveforms of a batch, equally loud; None if it has fewer, or features instead."""
    groups = len(batch.ids) // VOICES
    if not groups or batch.inputs.ndim != 2:
        return None
    rows = groups * VOICES
    lengths = batch.lengths[:rows].view(groups, VOICES).amin(1)
    loudness = batch.inputs[:rows].square().sum(1).div(batch.lengths[:rows]).sqrt().clamp(min=1e-6)
    mixed = (batch.inputs[:rows] / loudness[:, None]).view(groups, VOICES, -1).sum(1)[:, : int(lengths.max())]
    mixed /= mixed.abs().amax(1, keepdim=True).clamp(min=1e-6) * 2
    for row, length in enumerate(lengths.tolist()):
        mixed[row, length:] = 0
    references = {head: texts[:groups] for head, texts in batch.references.items()}
    return replace(batch, ids=batch.ids[:groups], inputs=mixed, lengths=lengths, references=references)


def store_other_scores(
    task: SpeechTask, dataset: SpeechDataset, head: str, advance: Callable[[float], None] = lambda seconds: None
) -> StoredScores:
    """Run the network over speech made of a dataset that cannot be understood."""
    return [
        *store_scores(task, dataset, head, advance, play_backwards),
        *store_scores(task, dataset, head, advance, mix_voices),
    ]


def fit_confidences(
    decoder: BeamDecoder, scores: StoredScores, others: StoredScores, min_confidence: float | None = None
) -> Confidences | None:
    """Fit the calibration, then the largest `MIN_CONFIDENCES` that makes at most `MAX_LOSS` more errors.

    Args:
        decoder: the search, without calibration.
        scores: of dev data.
        others: of speech that cannot be understood; may be empty.
        min_confidence: is kept, if it is given.

    Returns:
        None where nothing is recognized, or words and confidences do not belong together.
    """
    head = next(iter(scores[0][1]))
    found = [(batch, search_best(decoder, frames[head], lengths)) for batch, frames, lengths in scores]
    spoken = report_hypotheses(decoder, head, found)
    words = spoken.token_evidence
    if not words:
        return None
    wrong = [h for _, frames, lengths in others for h in search_best(decoder, frames[head], lengths)]
    evidence = [decoder.evidence(hypothesis) for hypothesis in wrong if hypothesis.labels]
    judges = words[0][0].shape[1] > 1  # with the odds alone there is little to tell speech by
    other_evidence = np.concatenate(evidence) if evidence and judges else None
    before, after = spoken.calibration, cross_validate(words, other_evidence)
    assert before is not None and after is not None
    calibration = tuple(round(number, 4) for number in fit_calibration(*concatenate(words), other_evidence))
    reference = next(iter(spoken.totals.values())).reference
    errors = [next(iter(spoken.totals.values())).errors]
    choices = MIN_CONFIDENCES if min_confidence is None else (min_confidence,)
    for threshold in choices:
        judging = decoder.with_confidences(calibration, threshold)
        kept = [(batch, [judging.without_doubtful(h) for h in hypotheses]) for batch, hypotheses in found]
        errors[1:] = [next(iter(report_hypotheses(judging, head, kept).totals.values())).errors]
        if errors[1] - errors[0] <= MAX_LOSS * reference:
            break
    others_kept = [p for h in wrong for p in judging.confidence(judging.without_doubtful(h))]
    return Confidences(
        calibration,
        threshold,
        before,
        after,
        (errors[0], errors[1]),
        sum(map(len, evidence)),
        len(others_kept),
        float(np.mean(others_kept)) if others_kept else 0.0,
    )


def search_best(decoder: BeamDecoder, frames: np.ndarray, lengths: np.ndarray) -> list[Hypothesis]:
    """Return the best hypothesis of each utterance."""
    return [best for best, *_ in decoder.search(frames, lengths)]


def report_hypotheses(
    decoder: BeamDecoder, head: str, hypotheses: Sequence[tuple[SpeechBatch, list[Hypothesis]]]
) -> Report:
    """Compute the error rates of hypotheses. Raises InputError when no utterance has a reference."""
    texts = DecodedTexts({head: decoder})
    for batch, found in hypotheses:
        texts.add(batch, {head: found})
    if not texts.rows[head]:
        raise InputError("no utterance has a reference to tune by")
    return texts.report(head)
