"""Train what a configuration describes: from data to a model directory with its figures."""

from __future__ import annotations

import logging
import platform
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import lightning as L
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from asr import model_dir
from asr.errors import InputError
from asr.training.callbacks import EpochLine, StopOnSignal
from asr.training.captions import CaptionJob
from asr.training.classification import ClassificationJob
from asr.training.initial import take_weights
from asr.training.language import LanguageJob
from asr.training.memory import KeepFreedMemory, share_one_heap
from asr.training.module import TrainingModule, mode_of
from asr.training.pairs import PairJob
from asr.training.settings import check_settings
from asr.training.speech import SpeechJob

log = logging.getLogger(__name__)


class Job(Protocol):
    """What is trained: a task, its data, and how it is scored. Made of a configuration; one a kind of task.

    ``monitor`` names the logged dev figure that says which weights are best (`asr.training.module.mode_of`).
    """

    task: Any
    monitor: str

    def begin(self) -> None:
        """What has to be known of the training data before the first step, where no weights are given."""

    def describe(self) -> None:
        """Log what is about to be trained."""

    def loaders(self, rank: int, world: int) -> tuple[Any, Any]:
        """Batches to train on, for one of so many processes, and those of dev."""

    def module(self, batches: int) -> TrainingModule:
        """What trains the task in epochs of so many batches."""

    def size(self) -> dict[str, float]:
        """How much there is to train on."""

    def figures(self) -> dict[str, Any]:
        """What the task scores on dev and test."""

    def card(self, figures: Mapping[str, Any]) -> str:
        """The model card."""


JOBS: dict[str, Callable[[Mapping[str, Any]], Job]] = {
    "ctc": SpeechJob,
    "language": LanguageJob,
    "seq2seq": PairJob,
    "captioning": CaptionJob,
    "classification": ClassificationJob,
}


def train(config: Mapping[str, Any], *, interactive: bool = False) -> dict[str, Any]:
    """Train, test, write ``run_dir/model``; return the figures that are in its ``metrics.json``.

    ``config`` is the resolved ``configs/train.yaml``; ``interactive`` shows a progress bar. Raises InputError before
    any work for whatever is wrong with the configuration or the data, and `Interruption` on SIGINT or SIGTERM.
    """
    began = time.perf_counter()
    check_settings(config)
    quiet_lightning()
    share_one_heap()
    # Subnormal gradients, frequent late in training, make an LSTM step 10 to 100 times as slow. Threads inherit
    # this, so it must come before the first parallel operation.
    torch.set_flush_denormal(True)
    torch.manual_seed(config["seed"])
    run_dir = Path(config["run_dir"])
    resume = find_checkpoint(config["resume"], run_dir)
    job = JOBS[config["task"]["type"]](config)
    if resume is not None:
        check_checkpoint(resume, job.task)
    elif config["init"]:
        take_weights(job.task, config["init"])
    trainer = make_trainer(config["trainer"], job.monitor, run_dir, interactive)
    run_dir.mkdir(parents=True, exist_ok=True)
    if resume is None and not config["init"]:
        job.begin()
    job.describe()
    train_loader, dev_loader = job.loaders(trainer.global_rank, trainer.world_size)
    trainer.fit(job.module(len(train_loader)), train_loader, dev_loader, ckpt_path=resume, weights_only=True)
    figures = finish(job, config["seed"], trainer, began)
    if trainer.is_global_zero:
        groups = ("task", *job.task.groups, "augmentation", "decoder")
        saved = {group: config[group] for group in groups if group in config} | {"training": dict(config)}
        model_dir.save(job.task, run_dir / "model", saved, figures, job.card(figures))
        log.info("model: %s", run_dir / "model")
    return figures


def find_checkpoint(resume: str | None, run_dir: Path) -> Path | None:
    """The checkpoint to go on from: ``auto`` takes the run's last one if there is one, ``none`` refuses to touch it."""
    last = run_dir / "checkpoints" / "last.ckpt"
    if resume == "auto":
        return last if last.exists() else None
    if resume in (None, "none"):
        if last.exists():
            raise InputError(f"{run_dir} holds a run already: choose resume=auto, or another run_dir")
        return None
    if not Path(resume).is_file():
        raise InputError(f"resume={resume}: no such checkpoint (accepted: auto, none, or a path)")
    return Path(resume)


def check_checkpoint(path: Path, task: torch.nn.Module) -> None:
    """Raise InputError unless the file is a checkpoint of this network."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
        found = {name: tuple(value.shape) for name, value in state.items()}
    except Exception as error:  # whatever torch, zipfile and pickle stumble over
        raise InputError(f"{path}: not a checkpoint of a training: {error}") from error
    wanted = {f"task.{name}": tuple(value.shape) for name, value in task.state_dict().items()}
    for name in sorted(found.keys() | wanted.keys()):
        if found.get(name) != wanted.get(name):
            shapes = f"{name} is {found.get(name)} in it and {wanted.get(name)} in the network"
            raise InputError(f"{path}: does not fit this configuration or its vocabulary: {shapes}")


def make_trainer(settings: Mapping[str, Any], monitor: str, run_dir: Path, interactive: bool) -> L.Trainer:
    """Lightning's Trainer of the group ``trainer``; ``monitor`` names the figure that says which weights are best."""
    if settings.get("threads"):
        torch.set_num_threads(settings["threads"])
    checkpoints = run_dir / "checkpoints"
    # two, because save_last=True saves the last checkpoint in those epochs only that are the best so far
    best = ModelCheckpoint(checkpoints, "best", monitor=monitor, mode=mode_of(monitor), enable_version_counter=False)
    last = ModelCheckpoint(checkpoints, "last", enable_version_counter=False)
    callbacks: list[L.Callback] = [EpochLine(), StopOnSignal(checkpoints / "last.ckpt"), best, last, KeepFreedMemory()]
    if settings.get("early_stopping"):
        callbacks.append(EarlyStopping(monitor, patience=settings["early_stopping"], mode=mode_of(monitor)))
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
            max_time={"minutes": settings["minutes"]} if settings.get("minutes") else None,
            gradient_clip_val=settings["gradient_clip"],
            accumulate_grad_batches=settings["accumulate"],
            callbacks=callbacks,
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
    """The precision, or ``32-true`` in place of ``bf16-mixed`` where a CPU trains that has no bfloat16 (no AVX-512)."""
    on_cpu = accelerator == "cpu" or (accelerator == "auto" and not torch.accelerator.is_available())
    if precision == "bf16-mixed" and on_cpu and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        log.warning("trainer.precision: this processor has no bfloat16; 32-true instead of bf16-mixed")
        return "32-true"
    return precision


def finish(job: Job, seed: int, trainer: L.Trainer, began: float) -> dict[str, Any]:
    """Load the best weights into the task, and score it."""
    path = Path(trainer.checkpoint_callback.best_model_path)  # type: ignore[union-attr]
    state = torch.load(path, map_location="cpu", weights_only=True)
    job.task.load_state_dict({name.removeprefix("task."): value for name, value in state["state_dict"].items()})
    job.task.cpu()
    training = {
        "epochs": trainer.current_epoch,
        "best_epoch": state["epoch"] + 1,
        "minutes": round((time.perf_counter() - began) / 60, 2),
        **job.size(),
        "seed": seed,
        "hardware": hardware(trainer),
    }
    return {"training": training, **job.figures()}


def quiet_lightning() -> None:
    """Keep Lightning's advice about loggers, workers and accelerators from drowning the epochs' lines."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
    warnings.filterwarnings("ignore", message=r".*isinstance\(treespec.*")


def hardware(trainer: L.Trainer) -> str:
    """The machine in a few words."""
    if torch.cuda.is_available() and trainer.accelerator.name() == "cuda":
        return f"{trainer.num_devices} x {torch.cuda.get_device_name()}"
    return f"{torch.get_num_threads()} CPU threads, {platform.machine()}"
