"""Begin a training with the weights of a model that there is: to go on with it, or to fit it to other data."""

from __future__ import annotations

import logging
from pathlib import Path

from asr.errors import InputError
from asr.models import directory as directory_module
from asr.models import store
from asr.tasks.language import LanguageTask

log = logging.getLogger(__name__)

READING = ("features", "encoder")  # parts that tasks of several types have


def take_weights(task: store.Task, path: str | Path) -> None:
    """Give a task the weights and the features' statistics of a model directory, or of a run that holds one.

    A head whose vocabulary is another one begins anew, with what it feeds back; of a model of another type only what
    `READING` names is taken (a classifier from a recogniser). Both are logged. Raises InputError naming the weight for
    a network of another shape.
    """
    directory = directory_module.find(path)
    config = directory_module.read_config(directory)
    kind = directory_module.task_class(config)
    model = store.load(directory, kind)
    same = [head for head, v in task.vocabularies.items() if _tokens(model, head) == v.tokens]

    def of_both(name: str) -> bool:
        part, head, *_ = name.split(".")
        if kind is not type(task):
            return part in READING
        return part not in ("heads", "feedback") or head in same

    theirs = {name: value for name, value in model.state_dict().items() if of_both(name)}
    ours = {name: value for name, value in task.state_dict().items() if of_both(name)}
    if kind is type(task) is LanguageTask and not same:
        raise InputError(f"init={path}: its labels are not those of this configuration and its text")
    if not theirs or not ours:
        theirs_is = config["task"]["type"]
        raise InputError(f"init={path}: this task has nothing in common with a model of type {theirs_is}")
    for name in sorted(theirs.keys() | ours.keys()):
        found, wanted = (tuple(d[name].shape) if name in d else None for d in (theirs, ours))
        if found != wanted:
            raise InputError(f"init={path}: {name} is {found} in it and {wanted} in the network of this configuration")
    task.load_state_dict(theirs, strict=False)
    anew = ", ".join(head for head in task.vocabularies if head not in same)
    if kind is not type(task):
        note = "; all but features and encoder begins anew, as its task is another one"
    else:
        note = f"; heads begun anew, as their vocabulary is another one: {anew}" if anew else ""
    log.info("weights: those of %s%s", directory, note)


def _tokens(model: store.Task, head: str) -> tuple[str, ...] | None:
    return model.vocabularies[head].tokens if head in model.vocabularies else None
