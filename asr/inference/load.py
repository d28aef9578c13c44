"""Load a model of any system together with what runs it."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from asr.models import pretrained
from asr.models.directory import find, read_config, system_of
from asr.utils.options import check_names


def load(model: str | Path = pretrained.DEFAULT, **options: Any) -> Any:
    """Load a model and return the runner of its system, also available as ``asr.load``.

    That is a `Recognizer`, `Classifier`, `Captioner`, `Pronouncer` or `Generator` (see `asr.systems.SYSTEMS`).

    Loading a model has the process round subnormal numbers to zero, see `asr.models.store.load`.

    Args:
        model: a model directory, the directory of a training run, or a name of `asr.models.pretrained`.
        **options: those of the runner's ``load``: ``device`` (all); ``head``, ``decoder``, ``plain``, ``digits``,
            ``batch_seconds`` (Recognizer); ``batch_seconds``, ``window`` (Classifier); ``ensemble`` (Captioner,
            Pronouncer).

    Raises:
        InputError: a path that holds no model, an option that the runner does not have, or what its ``load`` raises.

    Example:
        >>> recognizer = asr.load("runs/demo", decoder={"beam": 50})
        >>> recognizer.transcribe("speech.wav").text
    """
    config = read_config(find(model))
    runner = system_of(config).load("runner")
    accepted = [name for name in inspect.signature(runner.load).parameters if name != "model"]
    check_names(f"{model}: the {runner.__name__} of a model of type {config['task']['type']}", options, accepted)
    return runner.load(model, **options)
