"""Initialize a task from a trained model: to train it further, or to adapt it to other data."""

from __future__ import annotations

import logging
from pathlib import Path

from asr.errors import InputError
from asr.models import directory as model_directory
from asr.models import store
from asr.tasks.base import Task
from asr.utils.state_dict import check_shapes

log = logging.getLogger(__name__)

SHARED_PARTS = ("features", "encoder")  # modules that tasks of several types have
HEAD_PARTS = ("heads", "feedback")  # modules with one child per head, whose weights depend on its vocabulary


def init_from_model(task: Task, path: str | Path) -> None:
    """Copy the weights and feature statistics of a model into an untrained task, and log what was not copied.

    Heads with another vocabulary keep their initial weights; from a model of another type only `SHARED_PARTS` are
    copied (a recognizer's encoder into a classifier).

    Args:
        task: changed in place.
        path: a model directory or training run.

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


def _tokens(model: Task, head: str) -> tuple[str, ...] | None:
    return model.vocabularies[head].tokens if head in model.vocabularies else None
