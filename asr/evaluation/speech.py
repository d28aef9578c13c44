"""What the evaluation of recognizers shares, whatever their loss: error rates of decoded speech."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from lhotse import MonoCut

from asr.data import manifest
from asr.data.batch import SpeechBatch
from asr.data.sampler import plan_batches
from asr.data.speech_dataset import SpeechDataset
from asr.decoding.hypothesis import Hypothesis
from asr.errors import InputError
from asr.evaluation.base import Evaluation, EvaluationOptions
from asr.evaluation.report import Report, evaluate_pairs, merged_summaries
from asr.inference.decoders.base import HeadDecoder
from asr.inference.recognizer import Recognizer
from asr.metrics.error_rate import UNITS, Kind
from asr.tasks.speech_frontend import SpeechTask
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
        speakers: by utterance id; None: unknown.
    """

    def __init__(self, decoders: Mapping[str, HeadDecoder], speakers: Mapping[str, str] | None = None) -> None:
        self.decoders = decoders
        self.speakers = speakers
        # (id, reference, hypothesis, confidence and evidence of each token or None) of each utterance
        self.rows: dict[str, list[tuple[str, str, str, list[float] | None, np.ndarray | None]]]
        self.rows = {head: [] for head in decoders}

    def add(self, batch: SpeechBatch, hypotheses: Mapping[str, Sequence[Hypothesis]]) -> None:
        """Add the hypotheses of a batch by head; a head skips utterances that have no reference for it."""
        for head, decoder in self.decoders.items():
            for id, reference, hypothesis in zip(batch.ids, batch.references[head], hypotheses[head], strict=True):
                if reference is not None:
                    text = decoder.scoring_vocabulary.normalize_for_scoring(decoder.text(hypothesis))
                    confidence: list[float] | None = decoder.confidence(hypothesis)
                    evidence: np.ndarray | None = decoder.evidence(hypothesis)
                    if len(confidence or ()) != len(text.split()):
                        confidence = evidence = None  # normalization for scoring has merged or split words
                    self.rows[head].append((id, reference, text, confidence, evidence))

    def decode(self, batch: SpeechBatch, frames: Mapping[str, np.ndarray], lengths: np.ndarray) -> None:
        """Decode and add a batch: output frames (N, T, D) of the network by head, of ``lengths`` (N,)."""
        best = {h: [first for first, *_ in d.search(frames[h], lengths)] for h, d in self.decoders.items()}
        self.add(batch, best)

    def report(self, head: str, by: Mapping[str, str] | None = None) -> Report:
        """Compute the error rates of one head, in groups ``by`` utterance id. Raises InputError without references."""
        if not (rows := self.rows[head]):
            raise InputError(f"no utterance has a reference for the head {head!r} (phones in the manifest?)")
        ids, references, texts, confidences, evidence = zip(*rows, strict=True)
        kinds = error_kinds(self.decoders[head].scoring_vocabulary)
        return evaluate_pairs(
            ids,
            references,
            texts,
            kinds,
            by=by,
            speakers=self.speakers,
            confidences=confidences,
            evidence=evidence,
        )


@torch.inference_mode()
def output_batches(
    task: SpeechTask,
    dataset: SpeechDataset,
    heads: Sequence[str],
    max_seconds: float = 240.0,
    change: Callable[[SpeechBatch], SpeechBatch | None] = lambda batch: batch,
) -> Iterator[tuple[SpeechBatch, dict[str, np.ndarray], np.ndarray]]:
    """Run a network over a dataset, in batches of at most ``max_seconds``.

    Args:
        task: called with (inputs, lengths, heads), it returns frames (N, T, D) by head and their lengths (N,).
        dataset: the utterances.
        heads: the heads to compute.
        max_seconds: audio in a batch.
        change: what is done to each batch before; where it returns None, the batch is left out.

    Yields:
        Each batch, its frames (N, T, D) by head (log-probabilities of CTC), and their lengths (N,).
    """
    was_training, device = task.training, task.device
    task.eval()
    for batch in filter(None, map(change, batches(dataset, max_seconds))):
        outputs, lengths = task(batch.inputs.to(device), batch.lengths.to(device), heads)
        yield batch, {head: frames.cpu().numpy() for head, frames in outputs.items()}, lengths.cpu().numpy()
    task.train(was_training)


def evaluate_task(
    task: SpeechTask,
    dataset: SpeechDataset,
    decoders: Mapping[str, HeadDecoder],
    *,
    max_seconds: float = 240.0,
    by: Mapping[str, str] | None = None,
    advance: Callable[[float], None] = lambda seconds: None,
) -> dict[str, Report]:
    """Decode a dataset and report each head that has references.

    Args:
        task: the network, see `output_batches`.
        dataset: its references must be of the decoders' scoring vocabularies.
        decoders: by head.
        max_seconds: audio in a batch.
        by: group of each utterance id, for a report by group.
        advance: receives the seconds of audio that each batch holds.
    """
    texts = DecodedTexts(decoders, {cut.id: manifest.speaker(cut) for cut in dataset.cuts})
    for batch, frames, lengths in output_batches(task, dataset, list(decoders), max_seconds):
        texts.decode(batch, frames, lengths)
        advance(batch.seconds)
    return {head: texts.report(head, by) for head, rows in texts.rows.items() if rows}


def evaluate_recognizer(
    recognizer: Recognizer,
    decoders: Mapping[str, HeadDecoder],
    cuts: Sequence[MonoCut],
    by: Mapping[str, str] | None,
    options: EvaluationOptions,
) -> Evaluation:
    """Score a loaded recognizer on utterances.

    Args:
        recognizer: its task is scored.
        decoders: by head; the figures of the first one with references come first.
        cuts: the utterances.
        by: group of each utterance id, for a report by group; None: no groups.
        options: of the evaluation.

    Raises:
        InputError: no utterance has a reference for one of the heads.
    """
    scoring = {head: decoder.scoring_vocabulary for head, decoder in decoders.items()}
    dataset = SpeechDataset(cuts, scoring, recognizer.sample_rate, encode=False)
    with options.progress(sum(dataset.seconds), "evaluating") as advance:
        reports = evaluate_task(
            recognizer.task, dataset, decoders, max_seconds=options.batch_seconds, by=by, advance=advance
        )
    if not reports:
        raise InputError(NO_REFERENCES)
    text = "\n".join(_head_text(head, report, options.worst) for head, report in reports.items())
    main = next(iter(reports.values()))
    details = [utterance.to_json() for utterance in main.utterances] if options.details else []
    return Evaluation(text, merged_summaries(reports), details)


def read_cuts(data: Sequence[str], by_speaker: bool) -> tuple[list[MonoCut], dict[str, str] | None]:
    """Read the utterances of several manifests.

    Args:
        data: the manifests.
        by_speaker: group the utterances by speaker instead of by manifest.

    Returns:
        The utterances, and the group of each id; None for one group, of a single manifest.

    Raises:
        InputError: a manifest cannot be read, or an utterance is in two.
    """
    cuts: list[MonoCut] = []
    source: dict[str, str] = {}
    for path in data:
        for cut in manifest.read(path):
            if cut.id in source:
                raise InputError(f"{path}: utterance {cut.id} is in {source[cut.id]} too")
            source[cut.id] = path
            cuts.append(cut)
    if by_speaker:
        return cuts, {cut.id: manifest.speaker(cut) for cut in cuts}
    return cuts, source if len(data) > 1 else None


def _head_text(head: str, report: Report, worst: int) -> str:
    lines = [f"head {head}", report.table()]
    if calibration := report.calibration:
        lines.append(
            f"confidence: {100 * calibration.confidence:.1f} % on average, where {100 * calibration.accuracy:.1f} % of "
            f"{calibration.tokens} {UNITS[report.kinds[0]]} are right "
            f"(expected calibration error {calibration.error:.3f})"
        )
    if worst and (listing := report.worst(worst)):
        legend = "worst utterances, by number of errors (S substitution, D deletion, I insertion)"
        lines.append(f"\n{legend}\n{listing}\n")
    return "\n".join(lines)
