"""What the jobs that train recognizers share, whatever their loss: vocabularies, error rates, model card."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from lhotse import MonoCut

from asr.data import manifest
from asr.data.batch import SpeechBatch
from asr.data.speech_dataset import SpeechDataset
from asr.decoding.hypothesis import Hypothesis
from asr.errors import InputError
from asr.evaluation.recognition import greedy_decoders
from asr.evaluation.report import Report
from asr.evaluation.speech import DecodedTexts, error_kinds, evaluate_task
from asr.inference.decoders.base import HeadDecoder
from asr.inference.decoders.factory import make_decoder
from asr.models import card
from asr.tasks.recognition import RecognitionTask
from asr.text.outside import log_refused
from asr.text.vocabulary import Vocabulary
from asr.training.jobs._speech_data import SpeechDataJob
from asr.training.vocabularies import make_vocabulary
from asr.utils.options import check_choice

log = logging.getLogger(__name__)


class RecognitionJob(SpeechDataJob):
    """A job that trains a recognizer; a subclass builds its task.

    Attributes:
        loss: name of the loss, for the model card.
        decoders: by head, by the suffix that the figures' head names get: those of "", one for each head, also turn the
            hypotheses of a validation step into text.
    """

    groups = ("decoder",)
    loss: str
    task: RecognitionTask

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.decoders = self.make_decoders()
        self.monitor = dev_figure(config["trainer"]["monitor"], self.task.vocabularies, self.dev_data)

    def make_decoders(self) -> dict[str, dict[str, HeadDecoder]]:
        """Build the greedy decoders of all heads, and the one of the group ``decoder``, named ", beam" say.

        Raises:
            InputError: ``decoder.head`` is not a head, or an option of the decoder is wrong.
        """
        options = dict(self.config["decoder"])
        head = options.pop("head", None) or self.task.primary
        check_choice("decoder.head", head, self.task.vocabularies)
        decoder = make_decoder(self.task.vocabularies[head], options, self.task.transducer)
        configured = {} if options["type"] == "greedy" else {f", {options['type']}": {head: decoder}}
        return {"": greedy_decoders(self.task)} | configured

    def prepare_heads(self, trained: Collection[str]) -> None:
        """Freeze the heads that no training utterance has labels for, if they are ``trained``; log a warning.

        They stay as they are in the model that training starts from, and go on working as well as the encoder, which
        changes below them, lets them.

        Raises:
            InputError: no training utterance has labels for a head that is not trained, or for any head.
        """
        for split, data in (("training", self.train_data), ("dev", self.dev_data)):
            for head, refused in data.refused.items():
                log_refused(f"head {head}", split, refused, len(data))
        cuts, labels = self.train_data.cuts, self.train_data.labels
        idle = [head for head in self.task.vocabularies if all(of[head] is None for of in labels)]
        for head in idle:
            what = self.task.vocabularies[head].kind
            if head not in trained or len(idle) == len(self.task.vocabularies):
                reason = " that it can write" if self.train_data.refused[head] else ""
                raise InputError(f"head {head}: no training utterance has {what}{reason}")
            advice = " (`asr prepare --lexicon FILE` makes phones of texts)" if what == "phones" else ""
            log.warning("head %s: no training utterance has %s%s; the head stays as it is", head, what, advice)
            for name, parameter in self.task.named_parameters():
                if name.startswith(f"heads.{head}."):
                    parameter.requires_grad_(False)
        if self.monitor == "dev_loss" and all(of[head] is None for of in self.dev_data.labels for head in of):
            raise InputError("data.dev: no utterance has a text that the model can write, which trainer.monitor needs")
        refused_ids = {id for refused in self.train_data.refused.values() for id in refused}
        silent = {cut.id for cut, of in zip(cuts, labels, strict=True) if all(of[head] is None for head in of)}
        if useless := refused_ids & silent:
            self.train_data = self.dataset([cut for cut in cuts if cut.id not in useless])

    def describe(self) -> None:
        """Log the size of data and network, and the utterances that a head cannot use."""
        task = self.task
        super().describe()
        log.info("network: %s weights, a frame every %g ms", card.millions(task), 1000 * task.frame_seconds)
        for head, vocabulary in task.vocabularies.items():
            missing = sum(labels[head] is None for labels in self.train_data.labels)
            note = f"; {missing} training utterances have none and are skipped by it" if missing else ""
            log.info("head %s: %d %s%s", head, len(vocabulary), vocabulary.kind, note)

    def dev_scorer(self) -> ErrorRateScorer:
        """Return a scorer of the error rates of all heads."""
        return ErrorRateScorer(self.decoders[""])

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
                    by_head = evaluate_task(self.task, data, decoders, max_seconds=max_seconds)
                    reports |= {head + suffix: report for head, report in by_head.items()}
                figures.setdefault(split, {})[name] = {head: r.summary() for head, r in reports.items()}
                for head, report in reports.items():
                    log.info("%s, head %s: %s", card.set_name(split, name), head, rates(report))
        return figures

    def card(self, figures: Mapping[str, Any]) -> str:
        """Return the model card."""
        task, features = self.task, self.config["features"]["type"]
        heads = ", ".join(f"{head} ({len(v)} {v.kind})" for head, v in task.vocabularies.items())
        rows = [
            [name, head, report["utterances"], *(card.percent(report, kind) for kind in ("wer", "cer", "per"))]
            for name, reports in card.named_sets(figures)
            for head, report in reports.items()
        ]
        return card.model_card(
            self.config,
            figures,
            description=f"speech recognizer, {features} features, {card.millions(task)} weights, "
            f"{self.loss} heads {heads}; a frame of scores every {1000 * task.frame_seconds:g} ms",
            data=f"{figures['training']['hours_of_audio']} hours of audio",
            header=["set", "head", "utterances", "WER %", "CER %", "PER %"],
            rows=rows,
            command="asr transcribe FILES --model THIS_DIRECTORY",
            note=f"{card.INTERVALS}Greedy decoding unless a decoder is named. ",
        )


class ErrorRateScorer:
    """Dev error rates of the hypotheses of all heads; an `asr.training.module.DevScorer`.

    Args:
        decoders: by head, the primary one first; they turn hypotheses into text.
    """

    def __init__(self, decoders: Mapping[str, HeadDecoder]) -> None:
        self.texts = DecodedTexts(decoders)

    def add(self, batch: SpeechBatch, predictions: Mapping[str, Sequence[Hypothesis]]) -> None:
        """Add the hypotheses of a batch, by head."""
        self.texts.add(batch, predictions)

    def figures(self) -> dict[str, float]:
        """Return dev_wer, dev_cer and dev_per, as far as a head has references for them."""
        rates: dict[str, float] = {}
        for head in reversed(self.texts.rows):  # the primary head last: its rates win where two heads have one
            if self.texts.rows[head]:
                totals = self.texts.report(head).totals
                rates |= {f"dev_{kind}": counts.rate for kind, counts in totals.items()}
        return rates

    def samples(self) -> list[str]:
        """Return reference and hypothesis of two utterances."""
        rows = sorted(next(iter(self.texts.rows.values())))
        step = max(len(rows) // 2, 1)
        return [line for _, ref, hyp, *_ in rows[::step][:2] for line in (f"ref  {ref}", f"hyp  {hyp}")]


def make_vocabularies(config: Mapping[str, Any], cuts: Sequence[MonoCut]) -> dict[str, Vocabulary]:
    """Build the vocabulary of each head from the configuration, and where it says so from the training utterances.

    Raises:
        InputError: no head is configured, or an option of one is wrong.
    """
    heads = config["task"].get("heads") or {}
    if not heads:
        raise InputError("task.heads names no head")
    texts = [manifest.text(cut) for cut in cuts]
    phones = sorted({phone for cut in cuts for phone in (manifest.phones(cut) or "").split()})
    return {name: make_vocabulary(name, options, texts, phones) for name, options in heads.items()}


def dev_figure(monitor: str, vocabularies: Mapping[str, Vocabulary], dev_data: SpeechDataset) -> str:
    """Return the name of the logged dev figure that ``trainer.monitor`` selects.

    Args:
        monitor: "auto" for the main error rate of the first head that dev utterances have references for, "loss", or an
            error rate.
        vocabularies: by head, the primary one first.
        dev_data: the dev utterances.

    Raises:
        InputError: no head has that error rate, or no dev utterance has a reference for it.
    """
    heads = {kind: head for head in reversed(list(vocabularies)) for kind in error_kinds(vocabularies[head])}
    referred = [
        head for head in vocabularies if any(references[head] is not None for references in dev_data.references)
    ]
    kind: Any = error_kinds(vocabularies[next(iter(referred or vocabularies))])[0] if monitor == "auto" else monitor
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
