"""What happens around the steps of a training: the epoch's line, and stopping when asked to."""

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

RATES = {"wer": "WER", "cer": "CER", "per": "PER"}


class EpochLine(L.Callback):
    """Prints, for every epoch, one line of figures and some samples."""

    def __init__(self) -> None:
        self.began = 0.0
        self.done: Counter[str] = Counter()  # by unit
        self.busy = 0.0

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.on_train_epoch_start(trainer, module)  # which is not called for an epoch that is resumed in its middle

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.began, self.done, self.busy = time.perf_counter(), Counter(), 0.0

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        self.done.update(batch.amounts)
        self.busy = time.perf_counter() - self.began  # without the validation that follows

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        assert isinstance(module, TrainingModule)
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
        parts = [
            f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}",
            f"loss {figures.get('train_loss_epoch', math.nan):.3f}",
            f"dev loss {figures.get('dev_loss', math.nan):.3f}",
        ]
        shares = {name.removeprefix("dev_"): value for name, value in figures.items() if name.startswith("dev_")}
        shares.pop("loss", None)
        parts += [f"{RATES.get(name, name.replace('_', ' '))} {100 * share:.1f}%" for name, share in shares.items()]
        if "blank_rate" in figures:
            parts.append(f"blank {100 * figures['blank_rate']:.0f}%")
        if self.busy > 0:
            parts.append(", ".join(f"{amount / self.busy:.0f} {unit}/s" for unit, amount in self.done.items()))
        parts.append(f"{time.perf_counter() - self.began:.1f} s")
        if skipped := int(figures.get("skipped", 0)):
            parts.append(f"{skipped} utterances too short for their labels")
        lines = [" | ".join(parts)]
        lines += [f"    {_clip(sample)}" for sample in module.samples]
        if trainer.is_global_zero:
            say(trainer, "\n".join(lines))


def _clip(text: str, width: int = 106) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def say(trainer: L.Trainer, text: str) -> None:
    """Print above the progress bar."""
    bar = trainer.progress_bar_callback
    if isinstance(bar, TQDMProgressBar):
        from tqdm.auto import tqdm

        tqdm.write(text)
    else:
        print(text, flush=True)


class StopOnSignal(L.Callback):
    """On SIGINT (Ctrl-C) or SIGTERM: finish the step (at the epoch's end: the epoch), save ``checkpoint``, and raise
    `Interruption`. A second signal stops at once.

    At the end of an epoch its own checkpoint, which another callback writes, must be that file.
    """

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint = checkpoint
        self.received: int | None = None
        self._previous: dict[int, Any] = {}

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        # not sooner: Lightning would add its own handler for SIGTERM, which saves nothing
        if threading.current_thread() is not threading.main_thread():
            return  # where Python allows no handlers
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise Interruption(number, f"stopped at once by signal {number}, without saving what is new")
        self.received = number

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        done = batch_idx + 1
        if done % trainer.accumulate_grad_batches or done == trainer.num_training_batches:
            return
        if self._is_to_stop(trainer):
            trainer.save_checkpoint(self.checkpoint)
            self._stop()

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        if self._is_to_stop(trainer):
            trainer.should_stop = True

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._restore()
        if self._is_to_stop(trainer):
            self._stop()

    def _is_to_stop(self, trainer: L.Trainer) -> bool:
        """Whether any of the processes that train together has received a signal."""
        return trainer.strategy.reduce_boolean_decision(self.received is not None, all=False)

    def _stop(self) -> None:
        number = int(self.received or signal.SIGTERM)
        raise Interruption(number, f"stopped by signal {number}, saved {self.checkpoint}; go on with resume=auto")

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    def on_exception(self, trainer: L.Trainer, module: L.LightningModule, exception: BaseException) -> None:
        self._restore()
