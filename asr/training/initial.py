"""Begin a training with the weights of a model that there is: to go on with it, or to fit it to other data."""

from __future__ import annotations

import logging
from pathlib import Path

from asr import model_dir
from asr.errors import InputError
from asr.tasks.language import LanguageTask

log = logging.getLogger(__name__)


def take_weights(task: model_dir.Task, path: str | Path) -> None:
    """Give a task the weights and the features' statistics of a model directory, or of a run that holds one.

    A head whose vocabulary is another one begins anew, with what it feeds back, which is logged. Raises InputError
    naming the weight for a network of another shape.
    """
    directory = model_dir.find(path)
    model: model_dir.Task = model_dir.load(directory, type(task))
    same = [head for head, v in task.vocabularies.items() if _tokens(model, head) == v.tokens]

    if isinstance(task, LanguageTask) and not same:
        raise InputError(f"init={path}: its labels are not those of this configuration and its text")

    def of_both(name: str) -> bool:
        part, head, *_ = name.split(".")
        return part not in ("heads", "feedback") or head in same

    theirs = {name: value for name, value in model.state_dict().items() if of_both(name)}
    ours = {name: value for name, value in task.state_dict().items() if of_both(name)}
    for name in sorted(theirs.keys() | ours.keys()):
        found, wanted = (tuple(d[name].shape) if name in d else None for d in (theirs, ours))
        if found != wanted:
            raise InputError(f"init={path}: {name} is {found} in it and {wanted} in the network of this configuration")
    task.load_state_dict(theirs, strict=False)
    anew = ", ".join(head for head in task.vocabularies if head not in same)
    note = f"; heads begun anew, as their vocabulary is another one: {anew}" if anew else ""
    log.info("weights: those of %s%s", directory, note)


def _tokens(model: model_dir.Task, head: str) -> tuple[str, ...] | None:
    return model.vocabularies[head].tokens if head in model.vocabularies else None
