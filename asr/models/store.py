"""A model as a directory: configuration, vocabularies, weights, figures and a model card. No pickle anywhere."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, overload

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from asr._version import __version__
from asr.errors import InputError
from asr.models.decoder_files import copy_decoder_files
from asr.models.directory import CARD, CONFIG, METRICS, WEIGHTS, dump_config, read_config, task_class, vocabulary_file
from asr.systems import SYSTEMS
from asr.tasks.base import Task
from asr.tasks.ctc import CTCTask
from asr.text.vocabulary import Vocabulary

T = TypeVar("T", bound=Task)


def make_task(config: Mapping[str, Any], vocabularies: Mapping[str, Vocabulary]) -> Task:
    """An untrained task from the groups of a configuration."""
    return task_class(config).from_config(config, vocabularies)


def save(
    task: Task,
    directory: str | Path,
    config: Mapping[str, Any],
    metrics: Mapping[str, Any] | None = None,
    card: str = "",
) -> None:
    """Write a model directory, whole or not at all; one that was there is replaced.

    ``config`` needs the groups that `make_task` reads; what else it holds (seed, data, versions) is kept as it is. The
    files that its group ``decoder`` names are copied.
    """
    directory = Path(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        os.chmod(made, 0o755)  # mkdtemp's 0700 would keep a colleague from reading the model
        config = {**config, "asr_version": __version__}
        if config.get("decoder"):
            config["decoder"] = copy_decoder_files(config["decoder"], made)
        (made / CONFIG).write_bytes(dump_config(config))
        for head, vocabulary in task.vocabularies.items():
            vocabulary.save(made / vocabulary_file(head, task.primary))
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in task.state_dict().items()}
        save_file(state, made / WEIGHTS)
        text = json.dumps(metrics or {}, indent=2, ensure_ascii=False) + "\n"
        (made / METRICS).write_text(text, encoding="utf-8")
        (made / CARD).write_text(card, encoding="utf-8")
        if directory.exists():
            shutil.rmtree(directory)
        os.replace(made, directory)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def on_device(task: T, device: str) -> T:
    """The task, moved; InputError for a device that cannot be used."""
    try:
        return task.to(device)
    except (RuntimeError, AssertionError) as error:  # the latter where torch was built without CUDA
        raise InputError(f"device {device!r} cannot be used: {error}") from error


@overload
def load(directory: str | Path) -> CTCTask: ...
@overload
def load(directory: str | Path, kind: type[T]) -> T: ...
def load(directory: str | Path, kind: type[Task] = CTCTask) -> Task:
    """The task of a model directory, in evaluation mode.

    Raises InputError naming the file that is at fault, and for a task that is not of the ``kind`` wanted.
    """
    directory = Path(directory)
    config = read_config(directory)
    if task_class(config) is not kind:
        wanted = next(name for name, system in SYSTEMS.items() if system.load("task") is kind)
        raise InputError(f"{directory}: a model of type {config['task']['type']}, where one of {wanted} is wanted")
    heads = list(config["task"]["heads"])
    vocabularies = {head: Vocabulary.load(directory / vocabulary_file(head, heads[0])) for head in heads}
    try:
        task = make_task(config, vocabularies)
    except InputError as error:
        raise InputError(f"{directory / CONFIG}: {error}") from error
    path = directory / WEIGHTS
    try:
        task.load_state_dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read as safetensors: {error}") from error
    except RuntimeError as error:
        raise InputError(f"{path}: does not fit {CONFIG}: {error}") from error
    return task.eval()
