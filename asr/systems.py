"""The systems that this package trains and runs, one row each: the table that joins the layers.

A part is named as "module:attribute" and imported when it is used, so this module imports nothing of the package and
a command imports only the system that it works on. To add a system, write its four modules and add a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class System:
    """The parts of one system, each as "module:attribute".

    Attributes:
        noun: what a model of it is called in messages.
        task: the network with its loss, a subclass of `asr.tasks.base.Task`.
        job: what training does for this system, a subclass of `asr.training.jobs.base.Job`.
        data: the dataclass of the configuration group ``data``.
        evaluate: scores a model on data, an `asr.evaluation.base.Evaluate`.
        runner: the class that `asr.load` returns for a model of this system.
    """

    noun: str
    task: str
    job: str
    data: str
    evaluate: str
    runner: str

    def load(self, part: str) -> Any:
        """Import and return a part, named as in the attributes."""
        module, _, attribute = getattr(self, part).partition(":")
        return getattr(import_module(module), attribute)


SYSTEMS = {
    "ctc": System(
        noun="speech recognizer",
        task="asr.tasks.ctc:CTCTask",
        job="asr.training.jobs.ctc:CTCJob",
        data="asr.training.schema:SpeechData",
        evaluate="asr.evaluation.recognition:evaluate",
        runner="asr.inference.recognizer:Recognizer",
    ),
    "transducer": System(
        noun="transducer",
        task="asr.tasks.transducer:TransducerTask",
        job="asr.training.jobs.transducer:TransducerJob",
        data="asr.training.schema:TransducerData",
        evaluate="asr.evaluation.recognition:evaluate",
        runner="asr.inference.recognizer:Recognizer",
    ),
    "classification": System(
        noun="classifier",
        task="asr.tasks.classification:ClassificationTask",
        job="asr.training.jobs.classification:ClassificationJob",
        data="asr.training.schema:ClassificationData",
        evaluate="asr.evaluation.classification:evaluate",
        runner="asr.inference.classifier:Classifier",
    ),
    "seq2seq": System(
        noun="seq2seq model",
        task="asr.tasks.seq2seq:Seq2SeqTask",
        job="asr.training.jobs.seq2seq:Seq2SeqJob",
        data="asr.training.schema:ParallelTextData",
        evaluate="asr.evaluation.seq2seq:evaluate",
        runner="asr.inference.pronouncer:Pronouncer",
    ),
    "captioning": System(
        noun="captioner",
        task="asr.tasks.captioning:CaptioningTask",
        job="asr.training.jobs.captioning:CaptioningJob",
        data="asr.training.schema:CaptionData",
        evaluate="asr.evaluation.captioning:evaluate",
        runner="asr.inference.captioner:Captioner",
    ),
    "language": System(
        noun="language model",
        task="asr.tasks.language:LanguageTask",
        job="asr.training.jobs.language:LanguageJob",
        data="asr.training.schema:TextData",
        evaluate="asr.evaluation.language:evaluate",
        runner="asr.inference.generator:Generator",
    ),
}
