"""A model directory and its configuration: find it, read it, name its files."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from asr.errors import InputError
from asr.models import hub_files, pretrained
from asr.models.aliases import rename_settings
from asr.systems import SYSTEMS, System
from asr.utils import resources
from asr.utils.options import check_choice
from asr.utils.permissions import check_readable

if TYPE_CHECKING:  # torch, which a command needs only after it has checked its arguments
    from asr.tasks.base import Task

# libyaml's parser where PyYAML was built with it: a configuration takes 1 ms instead of 20
YAML_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
CONFIG, WEIGHTS, METRICS, CARD = "config.yaml", "weights.safetensors", "metrics.json", "README.md"
ONNX = "model.onnx"  # in place of the weights: the network as `asr export` writes it


def system_of(config: Mapping[str, Any]) -> System:
    """Return the system that a configuration's ``task.type`` names. Raises InputError for an unknown type."""
    check_choice("task: type", config["task"].get("type"), SYSTEMS)
    return SYSTEMS[config["task"]["type"]]


def task_class(config: Mapping[str, Any]) -> type[Task]:
    """Return the task class of a configuration. Raises InputError for an unknown type."""
    task: type[Task] = system_of(config).load("task")
    return task


def vocabulary_file(head: str, primary: str) -> str:
    """Return the file name of a head's vocabulary in a model directory."""
    return "vocabulary.txt" if head == primary else f"vocabulary.{head}.txt"


def previous_directory(directory: Path) -> Path:
    """Return where `asr.models.store.save` keeps the model that it replaces until the new one is in its place.

    It is ``.NAME.previous`` beside the directory. A save that ends in between leaves it there, complete: rename it to
    recover the model.
    """
    return directory.with_name(f".{directory.name}.previous")


def dump_config(config: Mapping[str, Any]) -> bytes:
    """Encode a configuration as a YAML file."""
    return yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True).encode()


def find(model: str | Path) -> Path:
    """Return the model directory at a path: the path itself, or ``model/`` in it if the path is a training run.

    The path of a model directory's file ``model.onnx`` stands for the directory, and a name of `asr.models.pretrained`
    for that model, unless one of that name is in the current folder. ``hf:PATH_OR_NAME`` is a model in the format of
    `transformers`, see `asr.models.hub_files.model_directory`.

    Raises:
        InputError: no model is there, or it may not be read. The message lists the runs of a folder of training runs,
            and names the `previous_directory` that an interrupted save has left.
    """
    if not isinstance(model, str | os.PathLike):
        raise InputError(f"a model of type {type(model).__name__}; the path of its directory is needed")
    if str(model).startswith(hub_files.PREFIX):
        return hub_files.model_directory(str(model))
    directory = Path(model)
    if str(model) in pretrained.names() and not ((directory / CONFIG).exists() or (directory / "model").is_dir()):
        return pretrained.FOLDER / str(model)
    check_readable(directory)
    if directory.suffix == Path(ONNX).suffix and directory.is_file():
        return _directory_of(directory)
    inner = directory / "model"
    for place in (directory, inner):
        if not place.exists() and (previous := previous_directory(place)).is_dir():
            raise InputError(f"{place}: saving this model was interrupted; rename {previous} to recover the one before")
    if not directory.is_dir():
        raise InputError(f"{model}: no such model directory{_how_to_train(directory)}")
    if (directory / CONFIG).exists() or inner.is_dir():
        return directory if (directory / CONFIG).exists() else inner
    if runs := sorted(str(path.parent) for path in directory.glob("*/model")):
        raise InputError(f"{model}: a folder of training runs; use one of them: {', '.join(runs[:5])}")
    if (last := directory / "checkpoints" / "last.ckpt").is_file():
        raise InputError(
            f"{model}: the training has not ended, so there is no model yet; train on with resume=auto ({last})"
        )
    return directory


def _directory_of(network: Path) -> Path:
    """Return the model directory of an exported network. Raises InputError for a file of another name, or alone."""
    if network.name != ONNX:
        raise InputError(f"{network}: an exported network is called {ONNX}, beside the other files of its model")
    if not (network.parent / CONFIG).is_file():
        raise InputError(
            f"{network}: the files that asr export writes beside it are missing ({CONFIG}, vocabularies, the decoder's)"
        )
    return network.parent


def is_of_hub(directory: Path) -> bool:
    """Return whether a model directory stands for a model in the format of `transformers`."""
    return "hub" in read_config(directory)


def is_exported(directory: Path) -> bool:
    """Return whether a model directory holds an exported network in place of weights.

    Raises:
        InputError: it holds both.
    """
    if not (directory / ONNX).exists():
        return False
    if (directory / WEIGHTS).exists():
        raise InputError(f"{directory}: holds {WEIGHTS} and {ONNX}; a model directory has one of them")
    return True


def _how_to_train(model: Path) -> str:
    """Return where a model that is missing comes from, if its path has the name of a shipped recipe's run."""
    if "demo" in model.parts:
        return "; train it first: make demo (minutes)"
    for path in sorted(resources.folder("recipes").glob("*/*.yaml")):
        recipe = path.read_text(encoding="utf-8")
        name = re.search(r"^name: (\S+)", recipe, re.MULTILINE)
        pattern = ".*".join(map(re.escape, re.split(r"\$\{\w+\}", name[1]))) if name else ""
        if any(re.fullmatch(pattern, part) for part in model.parts):
            time = re.search(r"^# ([^;,\n]*minutes[^;,\n]*)", recipe, re.MULTILINE)
            note = f"{time[1]}; " if time else ""
            return f"; train it first: asr train recipes/{path.parent.name}/{path.name} ({note}README.md there)"
    names = ", ".join(pretrained.names())
    return f"; a training writes one to RUN_DIR/model (asr train RECIPE); part of the package: {names}"


def read_config(directory: Path) -> dict[str, Any]:
    """Read the configuration of a model directory.

    Raises:
        InputError: there is none, or it lacks a group that its task needs; the message names the file.
    """
    path = directory / CONFIG
    if not path.is_file():
        raise InputError(f"{directory}: not a model directory (no {CONFIG} in it)")
    try:
        config = yaml.load(path.read_text(encoding="utf-8"), YAML_LOADER)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(config, dict) or not isinstance(config.get("task"), dict):
        raise InputError(f"{path}: needs the group task")
    try:
        groups = task_class(config).groups
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    if not all(isinstance(config.get(group), dict) for group in groups):
        raise InputError(f"{path}: needs the groups task, {' and '.join(groups)}")
    heads = config["task"].get("heads")
    if not isinstance(heads, dict) or not heads or not all(isinstance(options, dict) for options in heads.values()):
        raise InputError(f"{path}: task.heads is not a mapping of heads to their options")
    for group in ("augmentation", "decoder", "writing"):
        if not isinstance(config.get(group) or {}, dict):
            raise InputError(f"{path}: {group} is not a mapping")
    return rename_settings(config)
