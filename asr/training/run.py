"""Train what a configuration describes: from manifests to a model directory with its figures."""

from __future__ import annotations

import logging
import platform
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lhotse import MonoCut
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from asr import model_dir
from asr.data import manifest
from asr.data.batch import Targets
from asr.data.sampler import BucketSampler, plan_batches
from asr.data.speech import Perturbation, ResumableLoader, SpeechDataset
from asr.decoder import GreedyDecoder, make_decoder
from asr.errors import InputError
from asr.evaluation.report import Report
from asr.normalization import Normalization
from asr.registry import build
from asr.tasks.ctc import CTCTask
from asr.training import card
from asr.training.callbacks import EpochLine, StopOnSignal
from asr.training.evaluate import evaluate, greedy_decoders
from asr.training.initial import take_weights
from asr.training.memory import KeepFreedMemory, share_one_heap
from asr.training.module import TrainingModule
from asr.training.settings import check_settings, monitored
from asr.vocabulary import Vocabulary

log = logging.getLogger(__name__)

MODEL_GROUPS = ("task", "features", "encoder", "augmentation", "decoder")
STATISTICS_SECONDS = 2 * 3600.0  # of training audio that normalisation statistics are taken from


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
    data = config["data"]
    splits = {split: read_split(data.get(split), split) for split in ("train", "dev", "test")}
    train_cuts = [cut for cuts in splits["train"].values() for cut in cuts]
    dev_cuts = [cut for cuts in splits["dev"].values() for cut in cuts]
    task = make_task(config, train_cuts)
    if resume is not None:
        check_checkpoint(resume, task)
    elif config["init"]:
        take_weights(task, config["init"])
    rate = task.features.sample_rate
    options = {"type": "perturbation", **(data.get("perturbation") or {})}
    perturbation = build({"perturbation": Perturbation}, options, "data")

    def dataset(cuts: Sequence[MonoCut]) -> SpeechDataset:
        return SpeechDataset(
            cuts,
            task.vocabularies,
            rate,
            perturbation=perturbation,
            cache_hours=data["cache_hours"],
            seed=config["seed"],
        )

    decoders = make_decoders(config["decoder"], task)
    train_data = without_too_short(dataset(train_cuts), task, data["too_short"], dataset)
    dev_data = dataset(dev_cuts)
    monitor = monitored(config["trainer"]["monitor"], task, dev_data)
    trainer = make_trainer(config["trainer"], monitor, run_dir, interactive)
    run_dir.mkdir(parents=True, exist_ok=True)
    if resume is None and not config["init"]:
        task.features.fit(statistics_batches(train_data))
    describe(task, train_data, dev_data)
    fit(config, task, train_data, dev_data, trainer, monitor, resume)
    figures = finish(config, task, decoders, splits, trainer, began)
    if trainer.is_global_zero:
        saved = {group: config[group] for group in MODEL_GROUPS} | {"training": dict(config)}
        text = card.render(config, task, figures)
        model_dir.save(task, run_dir / "model", saved, figures, text)
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


def check_checkpoint(path: Path, task: CTCTask) -> None:
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


def read_split(manifests: Any, split: str) -> dict[str, list[MonoCut]]:
    """Cuts of each named manifest of ``data.train``, ``data.dev`` or ``data.test`` (a path, a list or a mapping)."""
    if isinstance(manifests, str):
        manifests = [manifests]
    if not isinstance(manifests, Mapping):
        paths = list(manifests or ())
        names = [Path(path).name.split(".")[0] for path in paths]
        manifests = dict(zip(names if len(set(names)) == len(names) else paths, paths, strict=True))
    if not manifests and split != "test":
        raise InputError(f"data.{split} names no manifest (make some with `asr prepare`)")
    return {name: manifest.read(path) for name, path in manifests.items()}


def make_task(config: Mapping[str, Any], train_cuts: Sequence[MonoCut]) -> CTCTask:
    """An untrained task whose vocabularies come from the configuration and, where it says so, the training texts."""
    heads = config["task"].get("heads") or {}
    if not heads:
        raise InputError("task.heads names no head")
    made = {name: make_vocabulary(name, options, train_cuts) for name, options in heads.items()}
    return model_dir.make_task(config, made)


def make_decoders(config: Mapping[str, Any], task: CTCTask) -> dict[str, dict[str, GreedyDecoder]]:
    """Decoders of heads, by what figures call them: the greedy ones of all heads, and that of the group ``decoder``."""
    options = dict(config)
    head = options.pop("head", None) or task.primary
    if head not in task.vocabularies:
        raise InputError(f"decoder.head={head} is not one of {', '.join(task.vocabularies)}")
    chosen = make_decoder(task.vocabularies[head], options)
    own = {} if options["type"] == "greedy" else {f", {options['type']}": {head: chosen}}
    return {"": greedy_decoders(task)} | own


def make_vocabulary(head: str, options: Mapping[str, Any], cuts: Iterable[MonoCut]) -> Vocabulary:
    """The vocabulary of one head, by its ``kind``."""
    options = dict(options)
    kind = options.get("kind")
    normalization = Normalization.from_config(options.get("normalization"))
    unknown = options.get("unknown", "error")
    if kind == "characters":
        source = options.get("alphabet") or [manifest.text(cut) for cut in cuts]
        return Vocabulary.characters(source, normalization, edges=options.get("edges", False), unknown=unknown)
    if kind == "phones":
        if (source := options.get("phones")) is None:
            found = {phone for cut in cuts for phone in (manifest.phones(cut) or "").split()}
            source = sorted(found)
        if not source:
            raise InputError(f"task.heads.{head}: no training utterance has phones")
        return Vocabulary.phones(source, options.get("fold"), normalization, unknown=unknown)
    if kind == "sentencepiece":
        texts = [manifest.text(cut) for cut in cuts]
        return Vocabulary.train_sentencepiece(texts, options.get("size", 500), normalization, unknown=unknown)
    raise InputError(f"task.heads.{head}: kind={kind!r} is not one of characters, phones, sentencepiece")


def without_too_short(dataset: SpeechDataset, task: CTCTask, policy: str, remake: Any) -> SpeechDataset:
    """The dataset but for utterances with fewer frames than CTC needs, all of which are named in the log.

    ``policy`` is "skip", or "error" to stop. Raises InputError then, and when nothing is left.
    """
    if policy not in ("skip", "error"):
        raise InputError(f"data.too_short={policy!r} is not one of skip, error")
    frames = task.output_lengths(dataset.input_lengths())
    bad: dict[str, str] = {}
    for head in task.vocabularies:
        targets = Targets.of([labels[head] for labels in dataset.labels])
        needed = targets.frames_needed.clamp(min=1)
        for row, need in zip(targets.rows.tolist(), needed.tolist(), strict=True):
            if frames[row] < need:
                cut = dataset.cuts[row]
                bad[cut.id] = f"{cut.id} ({head}: {int(frames[row])} frames, {need} needed)"
    if bad:
        message = f"{len(bad)} of {len(dataset)} training utterances are too short for CTC: {'; '.join(bad.values())}"
        if policy == "error" or len(bad) == len(dataset):
            raise InputError(message + " (lower encoder.stride, or leave them out with data.too_short=skip)")
        log.warning("%s; they are left out", message)
        return remake([cut for cut in dataset.cuts if cut.id not in bad])
    return dataset


def statistics_batches(dataset: SpeechDataset) -> Iterable[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of inputs spread over the training set, for the features' mean and variance."""
    step = max(1, int(sum(dataset.seconds) / STATISTICS_SECONDS))
    for indices in plan_batches(dataset.seconds, 600.0):
        if chosen := [index for index in indices if index % step == 0]:
            batch = dataset.collate([dataset[index] for index in chosen])
            yield batch.inputs, batch.lengths


def describe(task: CTCTask, train_data: SpeechDataset, dev_data: SpeechDataset) -> None:
    """Log what is about to be trained, on what, and what some heads cannot use."""
    weights = sum(parameter.numel() for parameter in task.parameters())
    for name, data in (("train", train_data), ("dev", dev_data)):
        log.info("%s: %d utterances, %.2f h", name, len(data), sum(data.seconds) / 3600)
    log.info("network: %.2f M weights, a frame every %g ms", weights / 1e6, 1000 * task.frame_seconds)
    for head, vocabulary in task.vocabularies.items():
        missing = sum(labels[head] is None for labels in train_data.labels)
        note = f"; {missing} training utterances have none and are left out of it" if missing else ""
        log.info("head %s: %d %s%s", head, len(vocabulary), vocabulary.kind, note)
        if missing == len(train_data):
            raise InputError(f"head {head}: no training utterance has {vocabulary.kind}")


def make_trainer(settings: Mapping[str, Any], monitor: str, run_dir: Path, interactive: bool) -> L.Trainer:
    """Lightning's Trainer of the group ``trainer``; ``monitor`` names the figure that is best when it is lowest."""
    if settings.get("threads"):
        torch.set_num_threads(settings["threads"])
    checkpoints = run_dir / "checkpoints"
    # two, because save_last=True saves the last checkpoint in those epochs only that are the best so far
    best = ModelCheckpoint(checkpoints, "best", monitor=monitor, mode="min", enable_version_counter=False)
    last = ModelCheckpoint(checkpoints, "last", enable_version_counter=False)
    callbacks: list[L.Callback] = [EpochLine(), StopOnSignal(checkpoints / "last.ckpt"), best, last, KeepFreedMemory()]
    if settings.get("early_stopping"):
        callbacks.append(EarlyStopping(monitor, patience=settings["early_stopping"], mode="min"))
    if interactive:
        callbacks.append(TQDMProgressBar(leave=False))
    try:
        return L.Trainer(
            accelerator=settings["accelerator"],
            devices=settings["devices"],
            num_nodes=settings["num_nodes"],
            strategy=settings["strategy"],
            precision=settings["precision"],
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


def fit(
    config: Mapping[str, Any],
    task: CTCTask,
    train_data: SpeechDataset,
    dev_data: SpeechDataset,
    trainer: L.Trainer,
    monitor: str,
    resume: Path | None,
) -> None:
    """Train until the last epoch, early stopping or the time limit; Interruption on a signal."""
    data = config["data"]
    sampler = BucketSampler(
        train_data.seconds,
        data["seconds"],
        max_utterances=data.get("utterances"),
        seed=config["seed"],
        rank=trainer.global_rank,
        world=trainer.world_size,
    )
    noise = config["trainer"]["weight_noise"]
    module = TrainingModule(task, config["optimizer"], config["seed"], monitor, len(sampler), noise)
    dev_loader = torch.utils.data.DataLoader(
        dev_data,
        # longest first: what does not fit in memory fails at once
        batch_sampler=plan_batches(dev_data.seconds, data["seconds"])[::-1],
        collate_fn=dev_data.collate,
        num_workers=data["workers"],
    )
    trainer.fit(
        module,
        ResumableLoader(train_data, sampler, data["workers"]),
        dev_loader,
        ckpt_path=resume,
        weights_only=True,
    )


def finish(
    config: Mapping[str, Any],
    task: CTCTask,
    decoders: Mapping[str, Mapping[str, GreedyDecoder]],
    splits: Mapping[str, Mapping[str, Sequence[MonoCut]]],
    trainer: L.Trainer,
    began: float,
) -> dict[str, Any]:
    """Load the best weights into the task and score it on every dev and test manifest."""
    path = Path(trainer.checkpoint_callback.best_model_path)  # type: ignore[union-attr]
    state = torch.load(path, map_location="cpu", weights_only=True)
    task.load_state_dict({name.removeprefix("task."): value for name, value in state["state_dict"].items()})
    task.cpu()
    minutes = (time.perf_counter() - began) / 60
    figures: dict[str, Any] = {
        "training": {
            "epochs": trainer.current_epoch,
            "best_epoch": state["epoch"] + 1,
            "minutes": round(minutes, 2),
            "hours_of_audio": round(sum(c.duration for s in splits["train"].values() for c in s) / 3600, 3),
            "seed": config["seed"],
            "hardware": hardware(trainer),
        }
    }
    for split in ("dev", "test"):
        for name, cuts in splits[split].items():
            reports: dict[str, Report] = {}
            for kind, used in decoders.items():
                scoring = {head: decoder.scoring for head, decoder in used.items()}
                data = SpeechDataset(cuts, scoring, task.features.sample_rate, encode=False)
                found = evaluate(task, data, decoders=used, max_seconds=config["data"]["seconds"])
                reports |= {head + kind: report for head, report in found.items()}
            figures.setdefault(split, {})[name] = {head: r.summary() for head, r in reports.items()}
            for head, report in reports.items():
                log.info("%s %s, %s: %s", split, name, head, rates(report))
    return figures


def quiet_lightning() -> None:
    """Keep Lightning's advice about loggers, workers and accelerators from drowning the epochs' lines."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
    warnings.filterwarnings("ignore", message=r".*isinstance\(treespec.*")


def rates(report: Report) -> str:
    """Error rates of a report on one line."""
    return ", ".join(
        f"{kind.upper()} {100 * counts.rate:.2f}% ({counts.errors} of {counts.reference})"
        for kind, counts in report.totals.items()
    )


def hardware(trainer: L.Trainer) -> str:
    """The machine in a few words."""
    if torch.cuda.is_available() and trainer.accelerator.name() == "cuda":
        return f"{trainer.num_devices} x {torch.cuda.get_device_name()}"
    return f"{torch.get_num_threads()} CPU threads, {platform.machine()}"
