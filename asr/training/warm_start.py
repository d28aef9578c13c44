"""Start from a trained model: take its configuration where a recipe has none, and its weights."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asr.errors import InputError
from asr.inference.decoders.factory import implied_type
from asr.models import directory as model_directory
from asr.models import store
from asr.models.decoder_files import decoder_config
from asr.tasks.base import Task
from asr.utils.options import check_choice
from asr.utils.state_dict import check_shapes

log = logging.getLogger(__name__)

SHARED_PARTS = ("features", "encoder")  # modules that tasks of several types have
HEAD_PARTS = ("heads", "feedback")  # modules with one child per head, whose weights depend on its vocabulary


def complete_from_model(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration whose ``task`` names no heads with the groups of the model that ``init`` names.

    Task, network, augmentation, decoder, writing and vocabularies are those of the model; settings of ``config``
    replace single ones, but a ``decoder`` with a type the whole decoder. A configuration that names heads is returned
    as it is.

    Raises:
        InputError: ``init`` names no model, or one of another type.
    """
    task = config.get("task")
    if not isinstance(task, Mapping) or "heads" in task:
        return dict(config)
    if not config.get("init") or isinstance(config["init"], Mapping):
        raise InputError("init names no model to adapt: set init=MODEL, such as init=runs/english/seed=1")
    directory = model_directory.find(config["init"])
    model = model_directory.read_config(directory)
    kind = model["task"]["type"]
    if task.get("type", kind) != kind:
        raise InputError(
            f"init={config['init']}: a model of type {kind}; this recipe adapts those of type {task['type']}"
        )
    groups = ("task", *model_directory.task_class(model).groups, "augmentation")
    base = {group: model.get(group) or {} for group in groups}
    primary = next(iter(base["task"]["heads"]))
    heads = {
        head: {**options, "vocabulary": str(directory / model_directory.vocabulary_file(head, primary))}
        for head, options in base["task"]["heads"].items()
    }
    base["task"] = {**base["task"], "heads": heads}
    completed = _merge(base, config)
    if "decoder" in model_directory.system_of(model).load("job").groups:
        head, options = decoder_config(directory, config.get("decoder"))
        completed["decoder"] = {"head": head, **options}
        completed["decoder"].setdefault("type", implied_type(options))
    if writing := model.get("writing"):
        completed["writing"] = dict(writing)
        if writing.get("punctuation") is not None:
            completed["writing"]["punctuation"] = str(directory / str(writing["punctuation"]))
    return completed


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with the settings of ``over``, which replace single ones of its groups."""
    both = {key: _merge(base[key], over[key]) for key in base if _are_mappings(base[key], over.get(key))}
    return {**base, **over, **both}


def _are_mappings(*values: Any) -> bool:
    return all(isinstance(value, Mapping) for value in values)


def init_from_model(task: Task, path: str | Path) -> list[str]:
    """Copy the weights and feature statistics of a model into an untrained task, and log what was not copied.

    Heads with another vocabulary keep their initial weights; from a model of another type only `SHARED_PARTS` are
    copied (a recognizer's encoder into a classifier).

    Args:
        task: changed in place.
        path: a model directory or training run.

    Returns:
        The heads whose weights were copied.

    Raises:
        InputError: a weight has another shape, the models have nothing in common, or a task without separate heads has
            another vocabulary.
    """
    directory = model_directory.find(path)
    config = model_directory.read_config(directory)
    kind = model_directory.task_class(config)
    model = store.load(directory, kind)
    same_type = kind is type(task)
    same_heads = [head for head, vocabulary in task.vocabularies.items() if _tokens(model, head) == vocabulary.tokens]

    def is_common(name: str) -> bool:
        part, head, *_ = name.split(".")
        if not same_type:
            return part in SHARED_PARTS
        return part not in HEAD_PARTS or head in same_heads

    source = {name: value for name, value in model.state_dict().items() if is_common(name)}
    target = {name: value for name, value in task.state_dict().items() if is_common(name)}
    if same_type and not hasattr(task, "heads") and len(same_heads) < len(task.vocabularies):
        raise InputError(f"init={path}: its labels are not those of this configuration and its data")
    if not source or not target:
        raise InputError(f"init={path}: this task shares no weights with a model of type {config['task']['type']}")
    if difference := check_shapes(source, target):
        raise InputError(f"init={path}: does not fit the network of this configuration: {difference}")
    task.load_state_dict(source, strict=False)
    new_heads = ", ".join(head for head in task.vocabularies if head not in same_heads)
    if not same_type:
        note = "; everything but features and encoder is newly initialized, as the model is of another type"
    else:
        note = f"; newly initialized heads, as their vocabulary differs: {new_heads}" if new_heads else ""
    log.info("weights from %s%s", directory, note)
    return same_heads if same_type else []


def init_parts(task: Task, models: Mapping[str, str | Path]) -> None:
    """Copy the weights of parts of an untrained task from a model each, such as an encoder from a CTC recognizer.

    Args:
        task: changed in place; its `Task.parts` name what there is.
        models: a model directory or training run by part.

    Raises:
        InputError: an unknown part, a path that holds no model, or one whose weights are of another kind or shape.
    """
    kind = type(task).__name__.removesuffix("Task").lower()
    if not models or not task.parts:
        raise InputError(f"init={dict(models)}: name one model, or one for each part of: {', '.join(task.parts)}")
    for part, path in models.items():
        check_choice(f"init: part of a {kind} model", part, task.parts)
        if not isinstance(path, str | Path):
            raise InputError(f"init.{part}={path}: expected a model directory or training run")
        directory = model_directory.find(path)
        config = model_directory.read_config(directory)
        model = store.load(directory, model_directory.task_class(config))
        where = f"init.{part}={path}"
        source = task.weights_of_part(part, model, where)
        target = {name: value for name, value in task.state_dict().items() if name in source}
        if difference := check_shapes(source, target):
            raise InputError(f"{where}: does not fit the network of this configuration: {difference}")
        task.load_state_dict(source, strict=False)
        log.info("%s: weights from %s", part, directory)


def _tokens(model: Task, head: str) -> tuple[str, ...] | None:
    return model.vocabularies[head].tokens if head in model.vocabularies else None
