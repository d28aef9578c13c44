"""The LightningModule that trains any task: its loss, its dev figures, its optimizer and learning-rate schedule."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import lightning as L
import torch
from lightning.pytorch.plugins.precision import MixedPrecision, Precision
from lightning.pytorch.utilities import GradClipAlgorithmType
from torch import Tensor

from asr.errors import InputError
from asr.modules.weight_noise import WeightNoise
from asr.registry import build
from asr.tasks.base import Batch, Task
from asr.training.pace import Pace

OPTIMIZERS = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
SCHEDULES = {
    "one_cycle": torch.optim.lr_scheduler.OneCycleLR,
    "plateau": torch.optim.lr_scheduler.ReduceLROnPlateau,
    "constant": torch.optim.lr_scheduler.ConstantLR,
}


class DevScorer(Protocol):
    """Collects the predictions of one pass over dev data; see `asr.tasks.base.Validation`."""

    def add(self, batch: Any, predictions: Any) -> None:
        """Add a batch and what the task predicts for it."""

    def figures(self) -> Mapping[str, float]:
        """Return the dev figures by the name to log them by, "dev_wer" say."""

    def samples(self) -> Sequence[str]:
        """Return a few lines that show references and predictions, printed below the epoch's line."""


class NoScorer:
    """A `DevScorer` for tasks whose dev figures are the means of `Validation` alone."""

    def add(self, batch: Any, predictions: Any) -> None:
        """Ignore the batch."""

    def figures(self) -> Mapping[str, float]:
        """Return nothing."""
        return {}

    def samples(self) -> Sequence[str]:
        """Return nothing."""
        return ()


class TrainingModule(L.LightningModule):
    """Trains a task.

    Random numbers of a step (dropout, masks) depend on (seed, epoch, batch) only, so that a resumed run equals an
    uninterrupted one.

    Args:
        task: the network to train.
        optimizer: the configuration group ``optimizer``.
        seed: of the run.
        monitor: logged dev figure that checkpoints, early stopping and the plateau schedule use.
        batches: number of batches in an epoch.
        mode: "min" or "max": where the figure ``monitor`` is best.
        weight_noise: standard deviation of `WeightNoise`.
        weight_noise_per: "batch" or "step": how often it is drawn, where a step has several batches.
        fit_minutes: the one-cycle schedule, and the training, ends with the last epoch that fits into this many
            minutes (`Pace`); None: after all epochs.
        make_scorer: makes the scorer of one pass over dev data.
        began: reading of `time.perf_counter` when the training began; None: now.

    Attributes:
        began: as given; of a training that is resumed, earlier by the time that its parts before took.
        samples: lines of the last validation's `DevScorer.samples`.
    """

    def __init__(
        self,
        task: Task,
        optimizer: Mapping[str, Any],
        seed: int,
        monitor: str,
        batches: int,
        *,
        mode: str = "min",
        weight_noise: float = 0.0,
        weight_noise_per: str = "batch",
        fit_minutes: float | None = None,
        make_scorer: Callable[[], DevScorer] = NoScorer,
        began: float | None = None,
    ) -> None:
        super().__init__()
        self.task = task
        self.optimizer_config = dict(optimizer)
        self.seed = seed
        self.monitor = monitor
        self.mode = mode
        self.batches = batches
        self.weight_noise = WeightNoise(task.parameters(), weight_noise)
        self.weight_noise_per = weight_noise_per
        self.pace = Pace(60 * fit_minutes) if fit_minutes else None
        self.began = time.perf_counter() if began is None else began
        self.make_scorer = make_scorer
        self.scorer = make_scorer()
        self.samples: Sequence[str] = ()

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Move a batch to a device."""
        return batch.to(device)

    # -- training

    def on_train_epoch_start(self) -> None:
        """Plan the epoch, if the training shall end in time."""
        if self.pace:
            assert self.trainer.max_epochs is not None
            scheduler: Any = self.lr_schedulers()
            self.pace.begin_epoch(
                self.trainer.max_epochs - self.current_epoch, scheduler.last_epoch / scheduler.total_steps
            )

    def on_train_epoch_end(self) -> None:
        """Stop after the last epoch that fits into the time."""
        if self.pace and self.pace.is_last:
            self.trainer.should_stop = True

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed torch for this batch of this epoch."""
        number = self.current_epoch * self.batches + batch_idx
        torch.manual_seed(self.seed * 1_000_003 + number * self.trainer.world_size + self.global_rank)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of a batch. Raises InputError when it is not finite, naming the batch's examples."""
        self.weight_noise.add()
        loss = self.task.training_loss(batch)
        if not torch.isfinite(loss.value):
            raise InputError(
                f"the loss is {loss.value.item()} at step {self.global_step}, in {', '.join(batch.ids)}: "
                "lower optimizer.lr, or clip gradients (trainer.gradient_clip)"
            )
        size = len(batch.ids)
        self.log("train_loss", loss.value.detach(), on_step=True, on_epoch=True, batch_size=size)
        for name, value in loss.logs.items():
            self.log(name, value, on_step=True, on_epoch=True, batch_size=size)
        self.log("skipped", float(loss.skipped), on_step=False, on_epoch=True, reduce_fx="sum", batch_size=1)
        return loss.value

    def on_after_backward(self) -> None:
        """Restore the weights that the gradient was taken at with noise, if the next batch shall have other noise."""
        if self.weight_noise_per == "batch":
            self.weight_noise.remove()

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Restore the weights in any case."""
        self.weight_noise.remove()

    def configure_gradient_clipping(
        self,
        optimizer: Any,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip gradients, with bfloat16 also for a fused optimizer.

        Lightning refuses that for all mixed precision, because a fused optimizer itself undoes the scaling of the loss.
        Only float16 needs such scaling.

        Raises:
            InputError: the optimizer is fused, and the precision float16.
        """
        precision = self.trainer.precision_plugin
        if isinstance(precision, MixedPrecision) and precision.scaler is None:
            algorithm = GradClipAlgorithmType(gradient_clip_algorithm or "norm")
            Precision.clip_gradients(precision, optimizer, gradient_clip_val or 0.0, algorithm)
            return
        if isinstance(precision, MixedPrecision) and gradient_clip_val and self.optimizer_config.get("fused"):
            raise InputError(
                "optimizer.fused=true: with trainer.precision=16-mixed its gradients cannot be clipped; set "
                "optimizer.fused=null, trainer.precision=bf16-mixed or trainer.gradient_clip=null"
            )
        self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    # -- validation

    def on_validation_epoch_start(self) -> None:
        """Start a new scorer."""
        self.scorer = self.make_scorer()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the means of a batch and collect its predictions."""
        result = self.task.validation_step(batch)
        for name, (value, weight) in result.means.items():
            self.log(name, value, batch_size=weight, sync_dist=True)
        self.scorer.add(batch, result.predictions)

    def on_validation_epoch_end(self) -> None:
        """Log the scorer's figures and keep its samples."""
        for name, value in self.scorer.figures().items():
            self.log(name, value, sync_dist=True)
        self.samples = self.scorer.samples()

    # -- checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what training carries from batch to batch."""
        checkpoint["state"] = self.task.training_state()
        checkpoint["seconds"] = time.perf_counter() - self.began

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore it, but let the schedule span this run's epochs, which may be more than the interrupted run's."""
        self.task.load_training_state(checkpoint.get("state"))
        self.began -= checkpoint.get("seconds", 0.0)
        for schedule in checkpoint.get("lr_schedulers", ()):
            for key in ("total_steps", "_schedule_phases"):  # of OneCycleLR
                schedule.pop(key, None)

    # -- optimizer

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Advance the schedule by a step, or to where it should be if the training shall end in time."""
        if self.pace:
            done = self.pace.position((self.trainer.fit_loop.epoch_loop.batch_idx + 1) / self.batches)
            scheduler.last_epoch = min(round(done * scheduler.total_steps), scheduler.total_steps - 1) - 1
        super().lr_scheduler_step(scheduler, metric)

    def configure_optimizers(self) -> Any:
        """Build the optimizer and its schedule. Raises InputError for a setting that they do not have."""
        config = dict(self.optimizer_config)
        schedule = dict(config.pop("schedule", None) or {"type": "constant", "factor": 1.0})
        optimizer = build(OPTIMIZERS, config, "optimizer", params=self.parameters())
        given: dict[str, Any] = {"optimizer": optimizer}
        if schedule["type"] == "one_cycle":
            # not trainer.estimated_stepping_batches, which starts the data loader before its state is restored
            assert self.trainer.max_epochs is not None
            steps = math.ceil(self.batches / self.trainer.accumulate_grad_batches) * self.trainer.max_epochs
            given |= {"max_lr": config["lr"], "total_steps": steps}
            if steps * schedule.get("pct_start", 0.3) == 1:  # torch would divide by the zero steps of the rise
                schedule["pct_start"] = 0.0
        if schedule["type"] == "plateau":
            given["mode"] = self.mode
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
