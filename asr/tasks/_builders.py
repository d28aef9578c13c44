"""Build the parts that several tasks share from the groups of a configuration, and a task from its parts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from asr.decoding.label.beam import LabelBeamOptions
from asr.modules.encoder import Encoder
from asr.modules.label_rnn import LabelRNN
from asr.registry import build
from asr.tasks.base import Task
from asr.text.vocabulary import Vocabulary

ENCODERS = {"rnn": Encoder}
LABEL_RNNS = {"label_rnn": LabelRNN}
SEARCHES = {"beam": LabelBeamOptions}

T = TypeVar("T", bound=Task)


def build_task(
    cls: type[T],
    config: Mapping[str, Any],
    vocabularies: Mapping[str, Vocabulary],
    *,
    exclude: Collection[str] = (),
    **parts: Any,
) -> T:
    """Build a task from the options of the group ``task``.

    Args:
        cls: the class of the task.
        config: with the group ``task``, whose ``type`` is that of the class.
        vocabularies: by head, the primary one first.
        exclude: options that ``from_config`` of the class reads itself, besides ``heads``.
        **parts: further arguments of the constructor, such as modules.

    Raises:
        InputError: an option is unknown or out of range.
    """
    options = {name: value for name, value in config["task"].items() if name != "heads" and name not in exclude}
    task: T = build({options["type"]: cls}, options, "task", vocabularies=vocabularies, **parts)
    return task


def build_encoder(config: Mapping[str, Any], input_size: int) -> Encoder:
    """Build the encoder of the group ``encoder`` for vectors of a size. Raises InputError for a wrong option."""
    encoder: Encoder = build(ENCODERS, config["encoder"], "encoder", input_size=input_size)
    return encoder


def build_label_rnn(
    config: Mapping[str, Any], labels: int, memory_size: int | None = None, outputs: int | None = None
) -> LabelRNN:
    """Build the label RNN of the group ``label_rnn``.

    Args:
        config: with the group ``label_rnn``.
        labels: number of labels.
        memory_size: elements of the vectors that it attends to; None: no attention.
        outputs: size of its output layer; None: the number of labels.

    Raises:
        InputError: an option is unknown or out of range.
    """
    given = {"labels": labels, "memory_size": memory_size, "outputs": outputs}
    network: LabelRNN = build(LABEL_RNNS, config["label_rnn"], "label_rnn", **given)
    return network


def build_search(config: Mapping[str, Any]) -> LabelBeamOptions:
    """Build the search options of the group ``search``. Raises InputError for a wrong option."""
    options: LabelBeamOptions = build(SEARCHES, config["search"], "search")
    return options
