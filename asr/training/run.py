"""Train what a configuration describes: from data to a model directory with its figures."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import lightning as L
import torch

from asr.errors import InputError
from asr.models import store
from asr.models.aliases import rename_settings
from asr.models.directory import system_of
from asr.tasks.base import Task
from asr.training.checkpoints import CHOSEN, check_checkpoint, end_first, find_checkpoint
from asr.training.jobs.base import Job
from asr.training.memory import share_one_heap
from asr.training.module import TrainingModule
from asr.training.schema import check_settings
from asr.training.trainer import hardware, make_trainer, quiet_lightning
from asr.training.warm_start import complete_from_model, init_from_model, init_parts
from asr.utils.threads import flush_denormals

log = logging.getLogger(__name__)

WITHOUT_NOISE = "without_noise"  # folder of a run for the training that comes before that with weight noise
PATIENCE = 5  # epochs that the hint at early stopping proposes


def train(config: Mapping[str, Any], *, interactive: bool = False) -> dict[str, Any]:
    """Train, test, and write ``run_dir/model``.

    Args:
        config: the resolved ``configs/train*.yaml`` of a system.
        interactive: show a progress bar.

    Returns:
        the figures that ``metrics.json`` of the model directory holds.

    Raises:
        InputError: configuration or data are wrong; before any work.
        Interruption: SIGINT or SIGTERM stopped the run; it can be resumed.
    """
    began = time.perf_counter()
    given = rename_settings(config)
    config = complete_from_model(given)
    check_settings(config)
    quiet_lightning()
    if os.environ.get("LOCAL_RANK", "0") != "0" or os.environ.get("NODE_RANK", "0") != "0":
        logging.getLogger("asr").setLevel(logging.WARNING)  # of several processes the first one tells what is trained
    share_one_heap()
    flush_denormals()  # before the first parallel operation
    torch.manual_seed(config["seed"])
    run_dir = Path(config["run_dir"])
    first_dir = run_dir / WITHOUT_NOISE if config["trainer"]["weight_noise_from"] == "best_loss" else None
    resume = find_checkpoint(config["resume"], run_dir, first_dir)
    job: Job = system_of(config).load("job")(config)
    trained: Collection[str] = ()
    if resume is not None:
        check_checkpoint(resume, job.task)
        trained = job.task.vocabularies
    elif isinstance(config["init"], Mapping):
        init_parts(job.task, config["init"])
    elif config["init"]:
        trained = init_from_model(job.task, config["init"])
    job.prepare_heads(trained)
    train_only(job.task, config["trainer"].get("only"))
    trainer = make_trainer(config["trainer"], job.monitor, job.mode, run_dir, interactive)
    run_dir.mkdir(parents=True, exist_ok=True)
    with_features = "encoder" in config["init"] if isinstance(config["init"], Mapping) else config["init"]
    if resume is None and not with_features:
        job.fit_statistics()
    job.describe()
    if first_dir is not None and (resume is None or resume.absolute().parents[1] == first_dir.absolute()):
        began = train_without_noise(job, first_dir, resume, interactive, began)
        resume = None
    train_loader, dev_loader = job.loaders(trainer.global_rank, trainer.world_size)
    module = make_module(job, len(train_loader), began)
    trainer.fit(module, train_loader, dev_loader, ckpt_path=resume, weights_only=True)
    figures = finish(job, config["seed"], trainer, module.began)
    if first_dir is not None:
        chosen = torch.load(first_dir / "checkpoints" / CHOSEN, map_location="cpu", weights_only=True)
        figures["training"]["best_epoch_without_noise"] = chosen["epoch"] + 1
    if trainer.is_global_zero:
        groups = ("task", *job.task.groups, "augmentation", "decoder", "writing")
        saved = {group: config[group] for group in groups if group in config} | {"training": dict(config)}
        store.save(job.task, run_dir / "model", saved, figures, job.card(figures))
        log.info("model: %s", run_dir / "model")
        if "heads" not in given["task"] and config.get("decoder", {}).get("type") == "beam":
            log.info("the decoder's weights are those of the model before; fit them: asr tune %s DEV", run_dir)
    return figures


def train_without_noise(job: Job, folder: Path, resume: Path | None, interactive: bool, began: float) -> float:
    """Train a job's task without weight noise to its lowest dev loss, and load the weights of that epoch.

    Graves, Mohamed & Hinton (2013): first to the highest log-probability of the dev set, then from there with noise.

    Args:
        job: to train.
        folder: for checkpoints and TensorBoard files.
        resume: checkpoint of this training, or the one that it has ended with.
        interactive: show a progress bar.
        began: see `TrainingModule`.

    Returns:
        `TrainingModule.began` at its end.
    """
    if resume is None or resume.name != CHOSEN:
        log.info("without weight noise, to the lowest dev loss")
        trainer = make_trainer(job.config["trainer"], "dev_loss", "min", folder, interactive)
        train_loader, dev_loader = job.loaders(trainer.global_rank, trainer.world_size)
        module = make_module(job, len(train_loader), began, noise=False)
        trainer.fit(module, train_loader, dev_loader, ckpt_path=resume, weights_only=True)
        began, resume = module.began, folder / "checkpoints" / CHOSEN
        if trainer.is_global_zero:
            end_first(folder)
        trainer.strategy.barrier()
    else:
        began -= torch.load(resume, map_location="cpu", weights_only=True).get("seconds", 0.0)
    epoch = load_weights(job, resume)
    log.info("with weight noise, from epoch %d of %s", epoch, resume)
    return began


def train_only(task: Task, part: str | None) -> None:
    """Leave all weights of a task as they are, but those whose names contain ``part``; None: none is left.

    Raises:
        InputError: no name contains it.
    """
    if part is None:
        return
    names = [name for name, _ in task.named_parameters()]
    if not any(part in name for name in names):
        modules = dict.fromkeys(name.rpartition(".")[0] for name in names)
        raise InputError(f"trainer.only={part}: no name of a weight contains it; they begin with {', '.join(modules)}")
    for name, weight in task.named_parameters():
        if part not in name:
            weight.requires_grad_(False)


def make_module(job: Job, batches: int, began: float, *, noise: bool = True) -> TrainingModule:
    """Make the module that trains a job's task in epochs of ``batches`` batches; ``noise``: as configured, or none."""
    settings = job.config["trainer"]
    return TrainingModule(
        job.task,
        job.config["optimizer"],
        job.config["seed"],
        job.monitor if noise else "dev_loss",
        batches,
        mode=job.mode if noise else "min",
        weight_noise=settings["weight_noise"] if noise else 0.0,
        weight_noise_per=settings["weight_noise_per"],
        fit_minutes=settings.get("fit_minutes"),
        make_scorer=job.dev_scorer,
        began=began,
    )


def load_weights(job: Job, path: Path) -> int:
    """Load the weights of a checkpoint into a job's task; return the number of its epoch, counted from 1."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    job.task.load_state_dict({name.removeprefix("task."): value for name, value in state["state_dict"].items()})
    return int(state["epoch"]) + 1


def finish(job: Job, seed: int, trainer: L.Trainer, began: float) -> dict[str, Any]:
    """Load the best weights into the task and score it; return the figures of training, dev and test."""
    best = load_weights(job, Path(trainer.checkpoint_callback.best_model_path))  # type: ignore[union-attr]
    job.task.cpu()
    training = {
        "epochs": trainer.current_epoch,
        "best_epoch": best,
        "minutes": round((time.perf_counter() - began) / 60, 2),
        **job.training_size(),
        "seed": seed,
        "hardware": hardware(trainer),
    }
    log.info("%s", best_epoch(best, trainer.current_epoch))
    return {"training": training, **job.figures()}


def best_epoch(best: int, epochs: int) -> str:
    """Return a line that says which epoch's weights are kept, and how to stop sooner where it was long ago."""
    line = f"the weights of epoch {best} of {epochs} are kept: the best on dev"
    if epochs - best >= max(PATIENCE, epochs // 4):
        line += f"; trainer.early_stopping={PATIENCE} stops after {PATIENCE} epochs without a better one"
    return line
