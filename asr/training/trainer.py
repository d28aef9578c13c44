"""Build Lightning's Trainer from the group ``trainer``."""

from __future__ import annotations

import logging
import platform
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from asr.errors import InputError
from asr.training.averaging import AverageEpochs
from asr.training.callbacks import EpochLine, StopOnSignal
from asr.training.checkpoints import AtomicCheckpointIO
from asr.training.gradients import GradientNorms
from asr.training.memory import KeepFreedMemory

log = logging.getLogger(__name__)


def make_trainer(settings: Mapping[str, Any], monitor: str, mode: str, run_dir: Path, interactive: bool) -> L.Trainer:
    """Build the trainer.

    Args:
        settings: the configuration group ``trainer``.
        monitor: logged dev figure that selects the best weights.
        mode: "min" or "max": where that figure is best.
        run_dir: folder for checkpoints and TensorBoard files.
        interactive: show a progress bar.

    Raises:
        InputError: Lightning refuses a setting.
    """
    if settings.get("threads"):
        torch.set_num_threads(settings["threads"])
    checkpoints = run_dir / "checkpoints"
    # two callbacks, because save_last=True saves the last checkpoint only in epochs that are the best so far
    best = ModelCheckpoint(checkpoints, "best", monitor=monitor, mode=mode, enable_version_counter=False)
    last = ModelCheckpoint(checkpoints, "last", enable_version_counter=False)
    callbacks: list[L.Callback] = [EpochLine(), StopOnSignal(checkpoints / "last.ckpt"), best, last, KeepFreedMemory()]
    callbacks.append(LearningRateMonitor("step"))  # for TensorBoard
    if settings["gradient_warning"]:
        callbacks.append(GradientNorms(settings["gradient_warning"]))
    if settings["average_epochs"] > 1:
        callbacks.append(AverageEpochs(settings["average_epochs"]))
    if settings.get("early_stopping"):
        callbacks.append(EarlyStopping(monitor, patience=settings["early_stopping"], mode=mode))
    if interactive:
        callbacks.append(TQDMProgressBar(leave=False))
    try:
        return L.Trainer(
            accelerator=settings["accelerator"],
            devices=settings["devices"],
            num_nodes=settings["num_nodes"],
            strategy=settings["strategy"],
            precision=usable_precision(settings["precision"], settings["accelerator"]),
            max_epochs=settings["epochs"],
            max_time={"minutes": settings["max_minutes"]} if settings.get("max_minutes") else None,
            gradient_clip_val=settings["gradient_clip"],
            gradient_clip_algorithm=settings["gradient_clip_by"],
            accumulate_grad_batches=settings["accumulate_batches"],
            callbacks=callbacks,
            plugins=[AtomicCheckpointIO()],
            logger=TensorBoardLogger(run_dir, name="", version="tensorboard"),
            log_every_n_steps=10,
            num_sanity_val_steps=0,
            enable_progress_bar=interactive,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
    except (TypeError, ValueError, MisconfigurationException) as error:
        raise InputError(f"trainer: {error}") from error


def usable_precision(precision: Any, accelerator: str) -> Any:
    """Return the precision, or ``32-true`` for ``bf16-mixed`` on a CPU without bfloat16 (no AVX-512), and warn."""
    on_cpu = accelerator == "cpu" or (accelerator == "auto" and not torch.accelerator.is_available())
    if precision == "bf16-mixed" and on_cpu and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        log.warning("trainer.precision: this processor has no bfloat16; 32-true instead of bf16-mixed")
        return "32-true"
    return precision


def quiet_lightning() -> None:
    """Suppress Lightning's messages about loggers, workers and accelerators, which would hide the epochs' lines."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
    warnings.filterwarnings("ignore", message=r".*isinstance\(treespec.*")


def hardware(trainer: L.Trainer) -> str:
    """Describe the hardware, for the model card."""
    if torch.cuda.is_available() and trainer.accelerator.name() == "cuda":
        return f"{trainer.num_devices} x {torch.cuda.get_device_name()}"
    return f"{torch.get_num_threads()} CPU threads, {platform.machine()}"
