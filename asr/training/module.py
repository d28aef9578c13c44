"""The LightningModule: a task with its optimiser, for the Trainer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import lightning as L
import torch
from torch import Tensor

from asr.data.batch import Batch
from asr.decoding import greedy
from asr.errors import InputError
from asr.modules.weight_noise import WeightNoise
from asr.registry import build
from asr.tasks.ctc import CTCTask
from asr.training.evaluate import Pairs, greedy_decoders

OPTIMIZERS = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
SCHEDULES = {
    "one_cycle": torch.optim.lr_scheduler.OneCycleLR,
    "plateau": torch.optim.lr_scheduler.ReduceLROnPlateau,
    "constant": torch.optim.lr_scheduler.ConstantLR,
}


class TrainingModule(L.LightningModule):
    """Trains a task.

    What is random in a step (dropout, masks) depends on (seed, epoch, batch) only, so that a resumed run equals an
    uninterrupted one. ``monitor`` names the figure that checkpoints, early stopping and the plateau schedule go by;
    ``batches`` is how many an epoch has, ``weight_noise`` the standard deviation of `WeightNoise`.
    """

    def __init__(
        self,
        task: CTCTask,
        optimizer: Mapping[str, Any],
        seed: int,
        monitor: str,
        batches: int,
        weight_noise: float = 0.0,
    ) -> None:
        super().__init__()
        self.task = task
        self.optimizer_config = dict(optimizer)
        self.seed = seed
        self.monitor = monitor
        self.batches = batches
        self.weight_noise = WeightNoise(task.parameters(), weight_noise)
        self.pairs = Pairs(greedy_decoders(task))
        self.blanks = (0, 0)
        self.samples: list[tuple[str, str]] = []

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        return batch.to(device)

    # -- training

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        number = self.current_epoch * self.batches + batch_idx
        torch.manual_seed(self.seed * 1_000_003 + number * self.trainer.world_size + self.global_rank)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self.weight_noise.add()
        loss, impossible = self.task.training_loss(batch.inputs, batch.lengths, batch.targets)
        if not torch.isfinite(loss):
            raise InputError(
                f"the loss is {loss.item()} at step {self.global_step}, utterances {', '.join(batch.ids)}: "
                "lower optimizer.lr, or clip gradients (trainer.gradient_clip)"
            )
        size = len(batch.ids)
        self.log("train_loss", loss.detach(), on_step=True, on_epoch=True, batch_size=size)
        self.log("impossible", float(impossible), on_step=False, on_epoch=True, reduce_fx="sum", batch_size=1)
        return loss

    def on_after_backward(self) -> None:
        self.weight_noise.remove()

    # -- validation

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
        self.samples = [(reference, decoded) for _, reference, decoded, _ in rows[::step][:2]]

    # -- optimiser

    def configure_optimizers(self) -> Any:
        config = dict(self.optimizer_config)
        schedule = dict(config.pop("schedule", None) or {"type": "constant", "factor": 1.0})
        optimizer = build(OPTIMIZERS, config, "optimizer", params=self.parameters())
        given: dict[str, Any] = {"optimizer": optimizer}
        if schedule["type"] == "one_cycle":
            # not trainer.estimated_stepping_batches, which starts the data loader before its state is restored
            assert self.trainer.max_epochs is not None
            steps = math.ceil(self.batches / self.trainer.accumulate_grad_batches) * self.trainer.max_epochs
            given |= {"max_lr": config["lr"], "total_steps": steps}
        scheduler = build(SCHEDULES, schedule, "optimizer.schedule", **given)
        plateau = schedule["type"] == "plateau"
        return {
            "optimizer": optimizer,
            "lr_scheduler": {
                "scheduler": scheduler,
                "interval": "step",
                # the plateau schedule sees the dev figure after the last batch, before the epoch's checkpoint
                "frequency": self.batches if plateau else 1,
                "monitor": self.monitor,
            },
        }
