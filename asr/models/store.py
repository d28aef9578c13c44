"""A model as a directory: configuration, vocabularies, weights, figures and a model card. No file is a pickle."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as encode_weights
from torch import nn
from torch.overrides import TorchFunctionMode

from asr._version import __version__
from asr.errors import InputError
from asr.models.decoder_files import copy_decoder_files
from asr.models.directory import (
    CARD,
    CONFIG,
    METRICS,
    WEIGHTS,
    dump_config,
    is_exported,
    previous_directory,
    read_config,
    system_of,
    task_class,
    vocabulary_file,
)
from asr.models.writing_files import copy_writing_files
from asr.systems import SYSTEMS
from asr.tasks.base import Task
from asr.text.vocabulary import Vocabulary
from asr.utils.permissions import check_readable
from asr.utils.state_dict import check_shapes
from asr.utils.threads import flush_denormals

T = TypeVar("T", bound=Task)


def make_task(config: Mapping[str, Any], vocabularies: Mapping[str, Vocabulary]) -> Task:
    """Build an untrained task from the groups of a configuration.

    Args:
        config: the group ``task`` and the `Task.groups` of its type.
        vocabularies: by head, the primary one first.

    Raises:
        InputError: a setting is wrong, and the message names it; or the network needs more memory than there is.
    """
    cls = task_class(config)
    _check_memory(cls, config, vocabularies)
    return cls.from_config(config, vocabularies)


def _check_memory(cls: type[Task], config: Mapping[str, Any], vocabularies: Mapping[str, Vocabulary]) -> None:
    """Raise InputError if the weights of a task need more memory than the machine has.

    Allocating that much would end the process without a word, after minutes.
    """
    try:
        with torch.device("meta"), _WithoutFirstWeights():  # shapes without content
            task = cls.from_config(config, vocabularies)
    except RuntimeError as error:  # the size of a tensor does not fit into 64 bits
        raise InputError(f"the network is too large: {error}") from error
    weights = sum(tensor.nbytes for tensor in task.state_dict().values())
    if weights > (memory := os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")):
        raise InputError(f"the network is too large: {weights / 1e9:.0f} GB, this machine has {memory / 1e9:.0f} GB")


class _WithoutFirstWeights(TorchFunctionMode):
    """Leaves weights as they are: to draw those of an embedding without content, torch imports its compiler (0.7 s)."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(function, "__module__", None) == nn.init.__name__:
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return function(*args, **kwargs)


def save(
    task: Task,
    directory: str | Path,
    config: Mapping[str, Any],
    metrics: Mapping[str, Any] | None = None,
    card: str = "",
) -> None:
    """Write a model directory, complete or not at all, in place of one that is there.

    The new model is written beside ``directory``. Then the old one is renamed to `previous_directory`, the new one
    takes its place, and the old one is deleted. If a step fails, the old one is put back. If the process ends in
    between, the next save cleans up; until then the old model is complete at one of the two places.

    Args:
        task: whose vocabularies and weights are written.
        directory: made with its parents where they are missing.
        config: the groups that `make_task` reads; what else it holds (seed, data, versions) is kept as it is. The files
            and models that its groups ``decoder`` and ``writing`` name are copied.
        metrics: JSON values.
        card: Markdown.

    Raises:
        InputError: a file is in the way, or ``decoder`` names a model that does not exist.
        OSError: a file cannot be written, or one that ``decoder`` names cannot be read.
    """
    directory = Path(directory).resolve()  # a link stays, and what it leads to is replaced
    if directory.exists() and not directory.is_dir():
        raise InputError(f"{directory}: a file is in the way of the model directory")
    new = directory.with_name(f".{directory.name}-{secrets.token_hex(4)}")
    new.mkdir(parents=True)
    try:
        config = {**config, "asr_version": __version__}
        if config.get("decoder"):
            config["decoder"] = copy_decoder_files(config["decoder"], new)
        if config.get("writing"):
            config["writing"] = copy_writing_files(config["writing"], new)
        (new / CONFIG).write_bytes(dump_config(config))
        for head, vocabulary in task.vocabularies.items():
            vocabulary.save(new / vocabulary_file(head, task.primary))
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in task.state_dict().items()}
        # not safetensors' save_file, whose files only their owner can read
        (new / WEIGHTS).write_bytes(encode_weights(state))
        text = json.dumps(metrics or {}, indent=2, ensure_ascii=False) + "\n"
        (new / METRICS).write_text(text, encoding="utf-8")
        (new / CARD).write_text(card, encoding="utf-8")
        put_in_place(new, directory)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise


def put_in_place(new: Path, directory: Path) -> None:
    """Rename ``new`` to ``directory``; see `save` for what happens to one that is there."""
    previous = previous_directory(directory)
    replaces = directory.exists()
    try:
        if replaces:
            shutil.rmtree(previous, ignore_errors=True)  # of a process that ended before it deleted it
            os.replace(directory, previous)
        os.replace(new, directory)
    except BaseException:
        if replaces and not directory.exists():
            os.replace(previous, directory)
        raise
    shutil.rmtree(previous, ignore_errors=True)


def on_device(task: T, device: str) -> T:
    """Move a task to a device. Raises InputError for a device that cannot be used."""
    try:
        if str(device) == "meta":
            raise RuntimeError("it has no memory")
        return task.to(device)
    except (RuntimeError, AssertionError) as error:  # the latter where torch was built without CUDA
        raise InputError(f"device {device!r} cannot be used: {error}") from error


def load_vocabularies(directory: Path, config: Mapping[str, Any]) -> dict[str, Vocabulary]:
    """Read the vocabularies of a model directory by head, the primary one first.

    Raises:
        InputError: a file is missing or damaged; the message names it.
    """
    heads = list(config["task"]["heads"])
    return {head: Vocabulary.load(directory / vocabulary_file(head, heads[0])) for head in heads}


def load(directory: str | Path, kind: type[T]) -> T:
    """Read a model directory and return its task, in evaluation mode.

    It has the process round subnormal numbers to zero for good (`torch.set_flush_denormal`): an LSTM that was trained
    long is 10 to 100 times as slow otherwise. New threads inherit that, so load a model before the first parallel
    operation, or set it yourself where your program starts.

    Args:
        directory: holds ``config.yaml``, a vocabulary for each head, and ``weights.safetensors``.
        kind: class of the task, `asr.tasks.ctc.CTCTask` say, or a base class of it.

    Raises:
        InputError: a file is missing or damaged, the weights do not fit the configuration, the model is of another
            type, or it is exported; the message names the file.
    """
    flush_denormals()
    directory = Path(directory)
    config = read_config(directory)
    if "hub" in config:
        raise InputError(
            f"{config['hub']['model']}: a model of another toolkit can be used, but not trained or tuned here"
        )
    if not issubclass(task_class(config), kind):
        wanted = next(system.noun for system in SYSTEMS.values() if issubclass(system.load("task"), kind))
        raise InputError(f"{directory}: a {system_of(config).noun}; a {wanted} is needed")
    if is_exported(directory):
        raise InputError(f"{directory}: an exported model has no weights; use the model that it was exported from")
    vocabularies = load_vocabularies(directory, config)
    try:
        task = make_task(config, vocabularies)
        assert isinstance(task, kind)
    except InputError as error:
        raise InputError(f"{directory / CONFIG}: {error}") from error
    path = directory / WEIGHTS
    check_readable(path)
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read as safetensors: {error}") from error
    if difference := check_shapes(state, task.state_dict()):
        raise InputError(f"{path}: does not fit {CONFIG}: {difference}")
    task.load_state_dict(state)
    return task.eval()
