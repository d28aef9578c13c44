"""Train what a configuration describes: from data to a model directory with its figures."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import lightning as L
import torch

from asr.models import store
from asr.training.checkpoints import check_checkpoint, find_checkpoint
from asr.training.jobs.captioning import CaptionJob
from asr.training.jobs.classification import ClassificationJob
from asr.training.jobs.ctc import SpeechJob
from asr.training.jobs.language import LanguageJob
from asr.training.jobs.seq2seq import PairJob
from asr.training.memory import share_one_heap
from asr.training.module import TrainingModule
from asr.training.schema import check_settings
from asr.training.trainer import hardware, make_trainer, quiet_lightning
from asr.training.warm_start import take_weights

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
        store.save(job.task, run_dir / "model", saved, figures, job.card(figures))
        log.info("model: %s", run_dir / "model")
    return figures


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
