"""The LightningModule: a task with its optimiser, for the Trainer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import lightning as L
import torch
from torch import Tensor, nn

from asr.errors import InputError
from asr.modules.weight_noise import WeightNoise
from asr.registry import build

OPTIMIZERS = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
SCHEDULES = {
    "one_cycle": torch.optim.lr_scheduler.OneCycleLR,
    "plateau": torch.optim.lr_scheduler.ReduceLROnPlateau,
    "constant": torch.optim.lr_scheduler.ConstantLR,
}

RISING = ("dev_cider",)  # figures that are best when they are highest; all others are errors


def mode_of(monitor: str) -> str:
    """Whether a figure is best at its ``min`` or ``max``."""
    return "max" if monitor in RISING else "min"


class Batch(Protocol):
    """What a step is given."""

    @property
    def ids(self) -> Sequence[str]:
        """Names of what is in it, for errors."""

    @property
    def amounts(self) -> Mapping[str, float]:
        """How much there is in it, by unit, for the speed that an epoch's line tells."""

    def to(self, device: torch.device) -> Any:
        """The same batch on another device."""


class TrainingModule(L.LightningModule):
    """Trains a task; what is special to a kind of task is in its subclass: `loss`, the validation, ``samples``.

    What is random in a step (dropout, masks) depends on (seed, epoch, batch) only, so that a resumed run equals an
    uninterrupted one. ``monitor`` names the figure that checkpoints, early stopping and the plateau schedule go by;
    ``batches`` is how many an epoch has, ``weight_noise`` the standard deviation of `WeightNoise`.
    """

    def __init__(
        self,
        task: nn.Module,
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
        self.samples: list[str] = []  # lines

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        return batch.to(device)

    # -- training

    def loss(self, batch: Any) -> tuple[Tensor, int]:
        """The training loss of a batch, and how many label sequences it leaves out as impossible."""
        raise NotImplementedError

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        number = self.current_epoch * self.batches + batch_idx
        torch.manual_seed(self.seed * 1_000_003 + number * self.trainer.world_size + self.global_rank)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self.weight_noise.add()
        loss, impossible = self.loss(batch)
        if not torch.isfinite(loss):
            raise InputError(
                f"the loss is {loss.item()} at step {self.global_step}, in {', '.join(batch.ids)}: "
                "lower optimizer.lr, or clip gradients (trainer.gradient_clip)"
            )
        size = len(batch.ids)
        self.log("train_loss", loss.detach(), on_step=True, on_epoch=True, batch_size=size)
        self.log("impossible", float(impossible), on_step=False, on_epoch=True, reduce_fx="sum", batch_size=1)
        return loss

    def on_after_backward(self) -> None:
        self.weight_noise.remove()

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
            if steps * schedule.get("pct_start", 0.3) == 1:  # torch divides by the steps that then remain to rise in
                schedule["pct_start"] = 0.0
        if schedule["type"] == "plateau":
            given["mode"] = mode_of(self.monitor)
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
