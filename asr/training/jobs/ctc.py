"""Training of speech recognisers: manifests to batches, and figures of what has been trained."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from lhotse import MonoCut
from torch import Tensor

from asr.data import manifest
from asr.data.batch import Batch, Targets
from asr.data.speech_dataset import SpeechDataset
from asr.decoding.ctc import greedy
from asr.errors import InputError
from asr.evaluation.ctc import Pairs, evaluate, greedy_decoders
from asr.evaluation.report import Report
from asr.inference.decoders.base import Decoder
from asr.inference.decoders.factory import make_decoder
from asr.models import card, store
from asr.tasks.ctc import CTCTask
from asr.training.jobs._speech_data import ManifestJob
from asr.training.module import TrainingModule
from asr.training.schema import monitored
from asr.training.vocabularies import make_vocabulary

log = logging.getLogger(__name__)


class SpeechJob(ManifestJob):
    """A CTC task and the manifests that it is trained and scored on: a `asr.training.run.Job`."""

    task: CTCTask

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.decoders = make_decoders(config["decoder"], self.task)
        too_short = config["data"]["too_short"]
        self.train_data = without_too_short(self.train_data, self.task, too_short, self.dataset)
        self.monitor = monitored(config["trainer"]["monitor"], self.task, self.dev_data)

    def make_task(self) -> CTCTask:
        """An untrained task whose vocabularies come from the configuration and the training manifests."""
        return make_task(self.config, self.cuts("train"))

    def describe(self) -> None:
        """Log what is about to be trained, on what, and what some heads cannot use."""
        task = self.task
        super().describe()
        log.info("network: %s weights, a frame every %g ms", card.millions(task), 1000 * task.frame_seconds)
        for head, vocabulary in task.vocabularies.items():
            missing = sum(labels[head] is None for labels in self.train_data.labels)
            note = f"; {missing} training utterances have none and are left out of it" if missing else ""
            log.info("head %s: %d %s%s", head, len(vocabulary), vocabulary.kind, note)
            if missing == len(self.train_data):
                raise InputError(f"head {head}: no training utterance has {vocabulary.kind}")

    def module(self, batches: int) -> SpeechModule:
        """What trains the task in epochs of so many batches."""
        config = self.config
        noise = config["trainer"]["weight_noise"]
        return SpeechModule(self.task, config["optimizer"], config["seed"], self.monitor, batches, noise)

    def figures(self) -> dict[str, Any]:
        """Error rates of every dev and test manifest, which are logged too."""
        figures: dict[str, Any] = {}
        for split in ("dev", "test"):
            for name, cuts in self.splits[split].items():
                reports: dict[str, Report] = {}
                for kind, used in self.decoders.items():
                    scoring = {head: decoder.scoring_vocabulary for head, decoder in used.items()}
                    data = SpeechDataset(cuts, scoring, self.task.features.sample_rate, encode=False)
                    found = evaluate(self.task, data, decoders=used, max_seconds=self.config["data"]["seconds"])
                    reports |= {head + kind: report for head, report in found.items()}
                figures.setdefault(split, {})[name] = {head: r.summary() for head, r in reports.items()}
                for head, report in reports.items():
                    log.info("%s %s, %s: %s", split, name, head, rates(report))
        return figures

    def card(self, figures: Mapping[str, Any]) -> str:
        """The model card."""
        return card.speech(self.config, self.task, figures)


def make_task(config: Mapping[str, Any], train_cuts: Sequence[MonoCut]) -> CTCTask:
    """An untrained task whose vocabularies come from the configuration and, where it says so, the training texts."""
    heads = config["task"].get("heads") or {}
    if not heads:
        raise InputError("task.heads names no head")
    texts = [manifest.text(cut) for cut in train_cuts]
    phones = sorted({phone for cut in train_cuts for phone in (manifest.phones(cut) or "").split()})
    made = {name: make_vocabulary(name, options, texts, phones) for name, options in heads.items()}
    task = store.make_task(config, made)
    assert isinstance(task, CTCTask)
    return task


def make_decoders(config: Mapping[str, Any], task: CTCTask) -> dict[str, dict[str, Decoder]]:
    """Decoders of heads, by what figures call them: the greedy ones of all heads, and that of the group ``decoder``."""
    options = dict(config)
    head = options.pop("head", None) or task.primary
    if head not in task.vocabularies:
        raise InputError(f"decoder.head={head} is not one of {', '.join(task.vocabularies)}")
    chosen = make_decoder(task.vocabularies[head], options)
    own = {} if options["type"] == "greedy" else {f", {options['type']}": {head: chosen}}
    return {"": greedy_decoders(task)} | own


def without_too_short(dataset: SpeechDataset, task: CTCTask, policy: str, remake: Any) -> SpeechDataset:
    """The dataset but for utterances with fewer frames than CTC needs, all of which are named in the log.

    ``policy`` is "skip", or "error" to stop. Raises InputError then, and when nothing is left.
    """
    if policy not in ("skip", "error"):
        raise InputError(f"data.too_short={policy!r} is not one of skip, error")
    frames = task.output_lengths(dataset.input_lengths())
    bad: dict[str, str] = {}
    for head in task.vocabularies:
        targets = Targets.of([labels[head] for labels in dataset.labels])
        needed = targets.frames_needed.clamp(min=1)
        for row, need in zip(targets.rows.tolist(), needed.tolist(), strict=True):
            if frames[row] < need:
                cut = dataset.cuts[row]
                bad[cut.id] = f"{cut.id} ({head}: {int(frames[row])} frames, {need} needed)"
    if bad:
        message = f"{len(bad)} of {len(dataset)} training utterances are too short for CTC: {'; '.join(bad.values())}"
        if policy == "error" or len(bad) == len(dataset):
            raise InputError(message + " (lower encoder.stride, or leave them out with data.too_short=skip)")
        log.warning("%s; they are left out", message)
        return remake([cut for cut in dataset.cuts if cut.id not in bad])
    return dataset


def rates(report: Report) -> str:
    """Error rates of a report on one line."""
    return ", ".join(
        f"{kind.upper()} {100 * counts.rate:.2f}% ({counts.errors} of {counts.reference})"
        for kind, counts in report.totals.items()
    )


class SpeechModule(TrainingModule):
    """Trains a CTC task. Its samples are two utterances of dev: reference and what was heard."""

    task: CTCTask

    def __init__(self, task: CTCTask, optimizer: Mapping[str, Any], *args: Any, **options: Any) -> None:
        super().__init__(task, optimizer, *args, **options)
        self.pairs = Pairs(greedy_decoders(task))
        self.blanks = (0, 0)

    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        return self.task.training_loss(batch.inputs, batch.lengths, batch.targets)

    def on_validation_epoch_start(self) -> None:
        self.pairs = Pairs(greedy_decoders(self.task))
        self.blanks = (0, 0)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        scores, lengths = self.task(batch.inputs, batch.lengths)
        loss, _ = self.task.loss(scores, lengths, batch.targets)
        self.log("dev_loss", loss, batch_size=len(batch.ids))
        self.pairs.add(batch, self.task.hypotheses(scores, lengths))
        primary = self.task.primary
        blank, frames = greedy.blank_rate(
            scores[primary].detach().cpu().numpy(),
            lengths.cpu().numpy(),
            self.task.vocabularies[primary].blank,
        )
        self.blanks = (self.blanks[0] + blank, self.blanks[1] + frames)

    def on_validation_epoch_end(self) -> None:
        rates: dict[str, float] = {}
        for head in reversed(self.task.vocabularies):  # the primary head last: its figures win a common name
            if self.pairs.rows[head]:
                rates |= {kind: counts.rate for kind, counts in self.pairs.report(head).totals.items()}
        for kind, rate in rates.items():
            self.log(f"dev_{kind}", rate, sync_dist=True)
        self.log("blank_rate", self.blanks[0] / max(self.blanks[1], 1), sync_dist=True)
        rows = sorted(self.pairs.rows[self.task.primary])
        step = max(len(rows) // 2, 1)
        two = rows[::step][:2]
        self.samples = [line for _, said, heard, _ in two for line in (f"said  {said}", f"heard {heard}")]
