"""Callbacks of the trainer: the line that an epoch prints, and stopping on a signal."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import TQDMProgressBar

from asr.errors import Interruption
from asr.tasks.base import Batch
from asr.training.module import TrainingModule
from asr.training.pace import Pace

RATES = {"wer": "WER", "cer": "CER", "per": "PER"}


class EpochLine(L.Callback):
    """Prints one line of figures per epoch, and the samples of its dev scorer below.

    The line has the training loss, the dev loss, the other dev figures in percent (logged names that begin with
    "dev_"), the blank rate if the task logs one, the learning rate of the last step, the speed in each unit of
    `Batch.amounts`, the seconds that the epoch took, validation included, the time that the remaining epochs will take,
    and "best" if its weights are the best yet.
    """

    def __init__(self) -> None:
        self.began = 0.0
        self.started: dict[int, float] = {}  # when each epoch of this process began
        self.amounts: Counter[str] = Counter()  # of the epoch's batches, by unit
        self.training_seconds = 0.0  # without the validation that follows
        self.learning_rate = math.nan  # of the last step

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Start the clock, also for an epoch that is resumed in its middle."""
        self.on_train_epoch_start(trainer, module)  # Lightning does not call it then

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Start the clock and the counts."""
        self.began, self.amounts, self.training_seconds = time.perf_counter(), Counter(), 0.0
        self.started.setdefault(trainer.current_epoch, self.began)

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, batch: Batch, batch_idx: int) -> None:
        """Note the learning rate; after the step it is that of the next one."""
        self.learning_rate = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Count the batch."""
        self.amounts.update(batch.amounts)
        self.training_seconds = time.perf_counter() - self.began

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Print the line, above the progress bar."""
        assert isinstance(module, TrainingModule)
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
        parts = [
            f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}",
            f"loss {figures.get('train_loss_epoch', math.nan):.3f}",
            f"dev loss {figures.get('dev_loss', math.nan):.3f}",
        ]
        rates = {name.removeprefix("dev_"): value for name, value in figures.items() if name.startswith("dev_")}
        rates.pop("loss", None)
        parts += [f"{RATES.get(name, name.replace('_', ' '))} {100 * rate:.1f}%" for name, rate in rates.items()]
        if "blank_rate" in figures:
            parts.append(f"blank {100 * figures['blank_rate']:.0f}%")
        parts.append(f"lr {self.learning_rate:.1e}")
        if self.training_seconds > 0:
            speeds = (f"{amount / self.training_seconds:.0f} {unit}/s" for unit, amount in self.amounts.items())
            parts.append(", ".join(speeds))
        parts.append(f"{time.perf_counter() - self.began:.1f} s")
        if skipped := int(figures.get("skipped", 0)):
            parts.append(f"{skipped} utterances too short for their labels")
        if left := self._time_left(trainer, module.pace):
            parts.append(left)
        if _is_best(trainer, module, figures):
            parts.append("best")
        lines = [" | ".join(parts)]
        lines += [f"    {_clip(sample)}" for sample in module.samples]
        if trainer.is_global_zero:
            print_above_bar(trainer, "\n".join(lines))

    def _time_left(self, trainer: L.Trainer, pace: Pace | None) -> str:
        """Time that the remaining epochs take at the mean speed, or until the pace's end; empty after the last one."""
        remaining = (trainer.max_epochs or 0) - trainer.current_epoch - 1
        seconds = remaining * (time.perf_counter() - min(self.started.values())) / len(self.started)
        if pace:
            seconds = min(seconds, pace.seconds_left())
        if seconds <= 0:
            return ""
        if seconds < 90:
            return f"{seconds:.0f} s left"
        return f"{seconds / 60:.0f} min left" if seconds < 5400 else f"{seconds / 3600:.1f} h left"


def _is_best(trainer: L.Trainer, module: TrainingModule, figures: dict[str, float]) -> bool:
    """Whether this epoch's figure is better than the best one before; checkpoints are saved after this callback."""
    best = getattr(trainer.checkpoint_callback, "best_model_score", None)
    value = figures.get(module.monitor, math.nan)
    if math.isnan(value):
        return False
    return best is None or (value < float(best) if module.mode == "min" else value > float(best))


def _clip(text: str, width: int = 106) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def print_above_bar(trainer: L.Trainer, text: str) -> None:
    """Print a text above the trainer's progress bar, if it shows one."""
    bar = trainer.progress_bar_callback
    if isinstance(bar, TQDMProgressBar):
        from tqdm.auto import tqdm

        tqdm.write(text)
    else:
        print(text, flush=True)


class StopOnSignal(L.Callback):
    """Stops training on SIGINT (Ctrl-C) or SIGTERM, with a checkpoint to resume from.

    The current step is finished (its accumulated gradients included), at the end of an epoch the epoch with its
    validation; then the checkpoint is saved and `Interruption` raised. A second signal stops at once, without saving.

    Args:
        checkpoint: the file to save. At the end of an epoch another callback must write it.
    """

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint = checkpoint
        self.received: int | None = None
        self._previous: dict[int, Any] = {}

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Install the signal handlers."""
        # not sooner: Lightning would add its own handler for SIGTERM, which saves nothing
        if threading.current_thread() is not threading.main_thread():
            return  # Python allows signal handlers in the main thread only
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise Interruption(number, f"stopped at once by signal {number}, without saving a checkpoint")
        self.received = number

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Save the checkpoint and stop after a signal, unless the optimizer's step or the epoch ends later."""
        batches = batch_idx + 1
        if batches % trainer.accumulate_grad_batches or batches == trainer.num_training_batches:
            return
        if self._must_stop(trainer):
            trainer.save_checkpoint(self.checkpoint)
            self._stop()

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Make this epoch the last one after a signal."""
        if self._must_stop(trainer):
            trainer.should_stop = True

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Restore the signal handlers, and stop after a signal."""
        self._restore_handlers()
        if self._must_stop(trainer):
            self._stop()

    def _must_stop(self, trainer: L.Trainer) -> bool:
        """Whether any of the processes that train together has received a signal."""
        return trainer.strategy.reduce_boolean_decision(self.received is not None, all=False)

    def _stop(self) -> None:
        number = int(self.received or signal.SIGTERM)
        raise Interruption(number, f"stopped by signal {number}, saved {self.checkpoint}; continue with resume=auto")

    def _restore_handlers(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    def on_exception(self, trainer: L.Trainer, module: L.LightningModule, exception: BaseException) -> None:
        """Restore the signal handlers."""
        self._restore_handlers()
