"""Evaluate CTC recognizers: word, character and phone error rates on manifests of speech."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from lhotse import MonoCut

from asr.data import manifest
from asr.data.batch import SpeechBatch
from asr.data.sampler import plan_batches
from asr.data.speech_dataset import SpeechDataset
from asr.decoding.hypothesis import Hypothesis
from asr.errors import InputError
from asr.evaluation.base import Evaluation, EvaluationOptions, single_model
from asr.evaluation.report import Report, evaluate_pairs, merged_summaries
from asr.inference.decoders.base import Decoder
from asr.inference.decoders.greedy import GreedyDecoder
from asr.inference.recognizer import Recognizer
from asr.metrics.error_rate import UNITS, Kind
from asr.tasks.ctc import CTCTask
from asr.text.vocabulary import Vocabulary

NO_REFERENCES = "no utterance has a reference for this model's heads (phones in the manifest?)"


def error_kinds(vocabulary: Vocabulary) -> tuple[Kind, ...]:
    """Return the error rates that texts of a vocabulary are scored by, the main one first."""
    return ("per",) if vocabulary.kind == "phones" else ("wer", "cer")


def batches(dataset: SpeechDataset, max_seconds: float) -> Iterator[SpeechBatch]:
    """Yield all utterances in padded batches of at most ``max_seconds``.

    The longest come first: a batch that is too large for the memory fails at once.
    """
    for indices in reversed(plan_batches(dataset.seconds, max_seconds)):
        yield dataset.collate([dataset[index] for index in indices])


class DecodedTexts:
    """References and decoded texts of each head, collected batch by batch.

    Args:
        decoders: by head.
    """

    def __init__(self, decoders: Mapping[str, Decoder]) -> None:
        self.decoders = decoders
        # (id, reference, hypothesis, confidence of each token or None) of each utterance
        self.rows: dict[str, list[tuple[str, str, str, list[float] | None]]] = {head: [] for head in decoders}

    def add(self, batch: SpeechBatch, hypotheses: Mapping[str, Sequence[Hypothesis]]) -> None:
        """Add the hypotheses of a batch by head; a head skips utterances that have no reference for it."""
        for head, decoder in self.decoders.items():
            for id, reference, hypothesis in zip(batch.ids, batch.references[head], hypotheses[head], strict=True):
                if reference is not None:
                    text = decoder.scoring_vocabulary.normalize_for_scoring(decoder.text(hypothesis))
                    confidence: list[float] | None = decoder.confidence(hypothesis)
                    if len(confidence or ()) != len(text.split()):
                        confidence = None  # normalization for scoring has merged or split words
                    self.rows[head].append((id, reference, text, confidence))

    def decode(self, batch: SpeechBatch, log_probs: Mapping[str, np.ndarray], lengths: np.ndarray) -> None:
        """Decode and add a batch: log-probabilities (N, T, V) by head, of ``lengths`` (N,)."""
        best = {h: [first for first, *_ in d.search(log_probs[h], lengths)] for h, d in self.decoders.items()}
        self.add(batch, best)

    def report(self, head: str, by: Mapping[str, str] | None = None) -> Report:
        """Compute the error rates of one head, in groups ``by`` utterance id. Raises InputError without references."""
        if not (rows := self.rows[head]):
            raise InputError(f"no utterance has a reference for the head {head!r} (phones in the manifest?)")
        ids, references, texts, confidences = zip(*rows, strict=True)
        kinds = error_kinds(self.decoders[head].scoring_vocabulary)
        return evaluate_pairs(ids, references, texts, kinds, by=by, confidences=confidences)


def greedy_decoders(task: CTCTask) -> dict[str, Decoder]:
    """Return the greedy decoder of each head."""
    return {head: GreedyDecoder(vocabulary) for head, vocabulary in task.vocabularies.items()}


@torch.inference_mode()
def log_prob_batches(
    task: CTCTask, dataset: SpeechDataset, heads: Sequence[str], max_seconds: float = 240.0
) -> Iterator[tuple[SpeechBatch, dict[str, np.ndarray], np.ndarray]]:
    """Yield the batches of a dataset with log-probabilities (N, T, V) by head and lengths (N,)."""
    was_training, device = task.training, next(task.parameters()).device
    task.eval()
    for batch in batches(dataset, max_seconds):
        scores, lengths = task(batch.inputs.to(device), batch.lengths.to(device), heads)
        yield batch, {head: log_probs.cpu().numpy() for head, log_probs in scores.items()}, lengths.cpu().numpy()
    task.train(was_training)


def evaluate_task(
    task: CTCTask,
    dataset: SpeechDataset,
    *,
    decoders: Mapping[str, Decoder] | None = None,
    max_seconds: float = 240.0,
    by: Mapping[str, str] | None = None,
    advance: Callable[[float], None] = lambda seconds: None,
) -> dict[str, Report]:
    """Decode a dataset and report each head that has references.

    Args:
        task: the network.
        dataset: its references must be of the decoders' scoring vocabularies.
        decoders: by head; None decodes all heads greedily.
        max_seconds: audio in a batch.
        by: group of each utterance id, for a report by group.
        advance: receives the seconds of audio that each batch holds.
    """
    decoders = decoders or greedy_decoders(task)
    texts = DecodedTexts(decoders)
    for batch, log_probs, lengths in log_prob_batches(task, dataset, list(decoders), max_seconds):
        texts.decode(batch, log_probs, lengths)
        advance(batch.seconds)
    return {head: texts.report(head, by) for head, rows in texts.rows.items() if rows}


def evaluate(models: Sequence[Path], data: Sequence[str], options: EvaluationOptions) -> Evaluation:
    """Score a recognizer on manifests, each apart and all together; see `asr.evaluation.base.Evaluate`."""
    options.reject("ctc", "html")
    model = single_model(models, "ctc")
    cuts, groups = _read_cuts(data, options.by_speaker)
    loaded = Recognizer.load(model, device=options.device, head=options.head, decoder=options.decoder)
    decoders = {loaded.head: loaded.decoder}
    if options.head is None and type(loaded.decoder) is GreedyDecoder:
        decoders = greedy_decoders(loaded.task) | decoders
    scoring = {head: decoder.scoring_vocabulary for head, decoder in decoders.items()}
    dataset = SpeechDataset(cuts, scoring, loaded.sample_rate, encode=False)
    by = groups if options.by_speaker or len(data) > 1 else None
    with options.progress(sum(dataset.seconds), "evaluating") as advance:
        reports = evaluate_task(
            loaded.task, dataset, decoders=decoders, max_seconds=options.batch_seconds, by=by, advance=advance
        )
    if not reports:
        raise InputError(NO_REFERENCES)
    text = "\n".join(_head_text(head, report, options.worst) for head, report in reports.items())
    main = next(iter(reports.values()))
    details = [utterance.to_json() for utterance in main.utterances] if options.details else []
    return Evaluation(text, merged_summaries(reports), details)


def _read_cuts(data: Sequence[str], by_speaker: bool) -> tuple[list[MonoCut], dict[str, str]]:
    """Utterances of several manifests, and the group (manifest or speaker) of each id."""
    cuts: list[MonoCut] = []
    source: dict[str, str] = {}
    for path in data:
        for cut in manifest.read(path):
            if cut.id in source:
                raise InputError(f"{path}: utterance {cut.id} is in {source[cut.id]} too")
            source[cut.id] = path
            cuts.append(cut)
    return cuts, {cut.id: manifest.speaker(cut) for cut in cuts} if by_speaker else source


def _head_text(head: str, report: Report, worst: int) -> str:
    lines = [f"head {head}", report.table()]
    if calibration := report.calibration:
        lines.append(
            f"confidence: {calibration.tokens} {UNITS[report.kinds[0]]} at {calibration.confidence:.3f} on average, "
            f"{calibration.accuracy:.3f} correct, expected calibration error {calibration.error:.3f}"
        )
    if worst and (listing := report.worst(worst)):
        lines.append(f"\nworst utterances\n{listing}\n")
    return "\n".join(lines)
