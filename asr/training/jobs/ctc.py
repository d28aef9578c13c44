"""Train CTC recognizers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lhotse import MonoCut

from asr.data import manifest
from asr.data.batch import SpeechBatch, Targets
from asr.data.speech_dataset import SpeechDataset
from asr.decoding.hypothesis import Hypothesis
from asr.errors import InputError
from asr.evaluation.ctc import DecodedTexts, error_kinds, evaluate_task, greedy_decoders
from asr.evaluation.report import Report
from asr.inference.decoders.base import Decoder
from asr.inference.decoders.factory import make_decoder
from asr.models import card, store
from asr.tasks.ctc import CTCTask
from asr.training.jobs._speech_data import SpeechDataJob
from asr.training.vocabularies import make_vocabulary
from asr.utils.options import check_choice

log = logging.getLogger(__name__)


class CTCJob(SpeechDataJob):
    """Trains a CTC task on manifests of speech; see `asr.training.jobs.base.Job`."""

    task: CTCTask

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.decoders = make_decoders(config["decoder"], self.task)
        policy = config["data"]["too_short"]
        self.train_data = drop_too_short(self.train_data, self.task, policy, self.dataset)
        self.monitor = dev_figure(config["trainer"]["monitor"], self.task, self.dev_data)

    def make_task(self) -> CTCTask:
        """Build an untrained task; its vocabularies come from the configuration and the training manifests."""
        return make_task(self.config, self.cuts("train"))

    def describe(self) -> None:
        """Log the size of data and network, and the utterances that a head cannot use.

        Raises:
            InputError: no training utterance has labels for a head.
        """
        task = self.task
        super().describe()
        log.info("network: %s weights, a frame every %g ms", card.millions(task), 1000 * task.frame_seconds)
        for head, vocabulary in task.vocabularies.items():
            missing = sum(labels[head] is None for labels in self.train_data.labels)
            note = f"; {missing} training utterances have none and are left out of it" if missing else ""
            log.info("head %s: %d %s%s", head, len(vocabulary), vocabulary.kind, note)
            if missing == len(self.train_data):
                raise InputError(f"head {head}: no training utterance has {vocabulary.kind}")

    def dev_scorer(self) -> ErrorRateScorer:
        """Return a scorer of the error rates of all heads."""
        return ErrorRateScorer(self.task)

    def figures(self) -> dict[str, Any]:
        """Compute, log and return the error rates on every dev and test manifest."""
        figures: dict[str, Any] = {}
        for split in ("dev", "test"):
            for name, cuts in self.splits[split].items():
                reports: dict[str, Report] = {}
                for suffix, decoders in self.decoders.items():
                    scoring = {head: decoder.scoring_vocabulary for head, decoder in decoders.items()}
                    data = SpeechDataset(cuts, scoring, self.task.features.sample_rate, encode=False)
                    max_seconds = self.config["data"]["seconds"]
                    by_head = evaluate_task(self.task, data, decoders=decoders, max_seconds=max_seconds)
                    reports |= {head + suffix: report for head, report in by_head.items()}
                figures.setdefault(split, {})[name] = {head: r.summary() for head, r in reports.items()}
                for head, report in reports.items():
                    log.info("%s %s, %s: %s", split, name, head, rates(report))
        return figures

    def card(self, figures: Mapping[str, Any]) -> str:
        """Return the model card."""
        task, features = self.task, self.config["features"]["type"]
        heads = ", ".join(f"{head} ({len(v)} {v.kind})" for head, v in task.vocabularies.items())
        rows = [
            [name, head, report["utterances"], *(card.percent(report.get(kind)) for kind in ("wer", "cer", "per"))]
            for name, reports in card.named_sets(figures)
            for head, report in reports.items()
        ]
        return card.model_card(
            self.config,
            figures,
            description=f"speech recognizer, {features} features, {card.millions(task)} weights, CTC heads {heads}; "
            f"a frame of scores every {1000 * task.frame_seconds:g} ms",
            data=f"{figures['training']['hours_of_audio']} hours of audio",
            header=["set", "head", "utterances", "WER %", "CER %", "PER %"],
            rows=rows,
            command="asr transcribe FILES --model THIS_DIRECTORY",
            note="Greedy decoding unless a decoder is named. ",
        )


class ErrorRateScorer:
    """Dev error rates of all heads by greedy decoding; an `asr.training.module.DevScorer`."""

    def __init__(self, task: CTCTask) -> None:
        self.task = task
        self.texts = DecodedTexts(greedy_decoders(task))

    def add(self, batch: SpeechBatch, predictions: Mapping[str, Sequence[Hypothesis]]) -> None:
        """Add the hypotheses of a batch, by head."""
        self.texts.add(batch, predictions)

    def figures(self) -> dict[str, float]:
        """Return dev_wer, dev_cer and dev_per, as far as a head has references for them."""
        rates: dict[str, float] = {}
        for head in reversed(self.task.vocabularies):  # the primary head last: its rates win where two heads have one
            if self.texts.rows[head]:
                totals = self.texts.report(head).totals
                rates |= {f"dev_{kind}": counts.rate for kind, counts in totals.items()}
        return rates

    def samples(self) -> list[str]:
        """Return reference and hypothesis of two utterances."""
        rows = sorted(self.texts.rows[self.task.primary])
        step = max(len(rows) // 2, 1)
        return [line for _, ref, hyp, _ in rows[::step][:2] for line in (f"ref  {ref}", f"hyp  {hyp}")]


def make_task(config: Mapping[str, Any], train_cuts: Sequence[MonoCut]) -> CTCTask:
    """Build an untrained task; its vocabularies come from the configuration, and where it says so the training texts.

    Raises:
        InputError: a setting is wrong, or no head is configured.
    """
    heads = config["task"].get("heads") or {}
    if not heads:
        raise InputError("task.heads names no head")
    texts = [manifest.text(cut) for cut in train_cuts]
    phones = sorted({phone for cut in train_cuts for phone in (manifest.phones(cut) or "").split()})
    vocabularies = {name: make_vocabulary(name, options, texts, phones) for name, options in heads.items()}
    task = store.make_task(config, vocabularies)
    assert isinstance(task, CTCTask)
    return task


def make_decoders(config: Mapping[str, Any], task: CTCTask) -> dict[str, dict[str, Decoder]]:
    """Build the decoders that dev and test are scored with.

    Returns:
        decoders by head, by the suffix that the figures' head names get: "" for the greedy decoders of all heads, and
        ", beam" for the one of the configuration group ``decoder`` if it is not greedy.

    Raises:
        InputError: ``decoder.head`` is not a head.
    """
    options = dict(config)
    head = options.pop("head", None) or task.primary
    check_choice("decoder.head", head, task.vocabularies)
    decoder = make_decoder(task.vocabularies[head], options)
    configured = {} if options["type"] == "greedy" else {f", {options['type']}": {head: decoder}}
    return {"": greedy_decoders(task)} | configured


def drop_too_short(
    dataset: SpeechDataset, task: CTCTask, policy: str, remake: Callable[[Sequence[MonoCut]], SpeechDataset]
) -> SpeechDataset:
    """Drop utterances with fewer frames than CTC needs (labels plus repeats), and log their names.

    Args:
        dataset: of training utterances.
        task: whose frames and vocabularies count.
        policy: "skip", or "error" to stop.
        remake: makes a dataset of cuts.

    Raises:
        InputError: the policy is "error" or unknown, or no utterance is left.
    """
    check_choice("data.too_short", policy, ("skip", "error"))
    frames = task.output_lengths(dataset.input_lengths())
    too_short: dict[str, str] = {}
    for head in task.vocabularies:
        targets = Targets.of([labels[head] for labels in dataset.labels])
        needed = targets.frames_needed.clamp(min=1)
        for row, need in zip(targets.rows.tolist(), needed.tolist(), strict=True):
            if frames[row] < need:
                id = dataset.cuts[row].id
                too_short[id] = f"{id} ({head}: {int(frames[row])} frames, {need} needed)"
    if not too_short:
        return dataset
    listing = "; ".join(too_short.values())
    message = f"{len(too_short)} of {len(dataset)} training utterances are too short for CTC: {listing}"
    if policy == "error" or len(too_short) == len(dataset):
        raise InputError(message + " (lower encoder.stride, or leave them out with data.too_short=skip)")
    log.warning("%s; they are left out", message)
    return remake([cut for cut in dataset.cuts if cut.id not in too_short])


def dev_figure(monitor: str, task: CTCTask, dev_data: SpeechDataset) -> str:
    """Return the name of the logged dev figure that ``trainer.monitor`` selects.

    Raises:
        InputError: no head has that error rate, or no dev utterance has a reference for it.
    """
    vocabularies = task.vocabularies
    heads = {kind: head for head in reversed(vocabularies) for kind in error_kinds(vocabularies[head])}
    kind: Any = error_kinds(vocabularies[task.primary])[0] if monitor == "auto" else monitor
    if kind == "loss":
        return "dev_loss"
    check_choice("trainer.monitor", kind, ["auto", "loss", *sorted(heads)])
    if all(references[heads[kind]] is None for references in dev_data.references):
        what = vocabularies[heads[kind]].kind
        raise InputError(f"data.dev: no utterance has {what}, which trainer.monitor={kind} needs")
    return f"dev_{kind}"


def rates(report: Report) -> str:
    """Format the error rates of a report as one line."""
    return ", ".join(
        f"{kind.upper()} {100 * counts.rate:.2f}% ({counts.errors} of {counts.reference})"
        for kind, counts in report.totals.items()
    )
