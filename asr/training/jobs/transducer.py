"""Train transducers."""

from __future__ import annotations

from asr.models import store
from asr.tasks.transducer import TransducerTask
from asr.training.jobs._recognition import RecognitionJob, make_vocabularies


class TransducerJob(RecognitionJob):
    """Trains a transducer on manifests of speech; see `asr.training.jobs.base.Job`."""

    loss = "transducer"
    task: TransducerTask

    def make_task(self) -> TransducerTask:
        """Build an untrained task; its vocabulary comes from the configuration and the training manifests."""
        task = store.make_task(self.config, make_vocabularies(self.config, self.cuts("train")))
        assert isinstance(task, TransducerTask)
        return task
