"""Train CTC recognizers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lhotse import MonoCut

from asr.data.batch import Targets
from asr.data.speech_dataset import SpeechDataset
from asr.errors import InputError
from asr.models import store
from asr.modules.ctc_crf import estimate_trigram
from asr.tasks.ctc import CTCTask
from asr.training.jobs._recognition import RecognitionJob, make_vocabularies
from asr.training.schema import CTCHeadOptions
from asr.training.teacher import Teacher
from asr.utils.options import check_choice

log = logging.getLogger(__name__)


class CTCJob(RecognitionJob):
    """Trains a CTC task on manifests of speech; see `asr.training.jobs.base.Job`."""

    head_options = CTCHeadOptions
    loss = "CTC"
    task: CTCTask

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        policy = config["data"]["too_short"]
        self.train_data = drop_too_short(self.train_data, self.task, policy, self.dataset)
        for head in self.task.crf:
            vocabulary = self.task.vocabularies[head]
            sequences = [labels[head] for labels in self.train_data.labels]
            known = [sequence for sequence in sequences if sequence is not None]
            self.task.label_models[head] = estimate_trigram(known, len(vocabulary), vocabulary.blank)
        if self.untranscribed and not config["data"]["teacher"]:
            raise InputError("data.untranscribed needs data.teacher: name a trained model")
        if teacher := config["data"]["teacher"]:
            self.task.further_losses.append(Teacher.load(teacher, self.task, config["data"]["teacher_weight"]))

    def make_task(self) -> CTCTask:
        """Build an untrained task; its vocabularies come from the configuration and the training manifests."""
        return make_task(self.config, self.cuts("train"))


def make_task(config: Mapping[str, Any], train_cuts: Sequence[MonoCut]) -> CTCTask:
    """Build an untrained task for training utterances.

    Raises:
        InputError: a setting is wrong, or no head is configured.
    """
    task = store.make_task(config, make_vocabularies(config, train_cuts))
    assert isinstance(task, CTCTask)
    return task


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
        raise InputError(message + " (lower encoder.stride, or skip them with data.too_short=skip)")
    log.warning("%s; they are skipped", message)
    return remake([cut for cut in dataset.cuts if cut.id not in too_short])
