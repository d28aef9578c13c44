"""The LightningModule of speech recognisers: error rates and blanks on dev."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from asr.data.batch import Batch
from asr.decoding import greedy
from asr.tasks.ctc import CTCTask
from asr.training.evaluate import Pairs, greedy_decoders
from asr.training.module import TrainingModule


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
