"""Checks of a training's settings, so that what is wrong with them is said before any work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asr.errors import InputError
from asr.models import directory
from asr.text.vocabulary_file import OPTION_ALIASES
from asr.utils.aliases import rename_keys

# Smallest value of each number, and whether null is a value too; those that are int here must be whole.
NUMBERS: dict[str, tuple[float, bool]] = {
    "seed": (0, False),
    "trainer.epochs": (1, False),
    "trainer.minutes": (0.0, True),
    "trainer.threads": (1, True),
    "trainer.gradient_clip": (0.0, True),
    "trainer.accumulate": (1, False),
    "trainer.weight_noise": (0.0, False),
    "trainer.early_stopping": (1, True),
}
MANIFEST_NUMBERS: dict[str, tuple[float, bool]] = {
    "data.seconds": (0.0, False),
    "data.utterances": (1, True),
    "data.workers": (0, False),
    "data.cache_hours": (0.0, False),
}
# those of the group data, and what else it holds, by the type of the task
DATA_NUMBERS: dict[str, dict[str, tuple[float, bool]]] = {
    "ctc": MANIFEST_NUMBERS,
    "language": {"data.rows": (1, False), "data.steps": (1, False)},
    "seq2seq": {"data.labels": (1, False)},
    "captioning": {"data.labels": (1, False)},
    "classification": MANIFEST_NUMBERS,
}
DATA_KEYS = {
    "ctc": "train dev test too_short perturbation",
    "language": "train dev test pieces",
    "seq2seq": "train dev test",
    "captioning": "train dev test mirror cache",
    "classification": "train dev test perturbation",
}

TRAINER_KEYS = (
    "epochs minutes precision accelerator devices num_nodes strategy threads gradient_clip accumulate weight_noise "
    "monitor early_stopping"
)
HEAD_KEYS = {
    "characters": "alphabet boundary_spaces",
    "words": "min_count",
    "phones": "phones fold",
    "sentencepiece": "size",
    "classes": "",
}
COMMON_HEAD_KEYS = "kind weight blank_penalty normalization unknown"


def check_settings(config: Mapping[str, Any]) -> None:
    """Raise InputError for a setting that nothing reads, or a number that is none or too small.

    (The groups that name a ``type`` are checked when that is made.)
    """
    directory.task_class(config)
    kind = config["task"]["type"]
    numbers = DATA_NUMBERS[kind]
    _check_keys("trainer", config["trainer"], TRAINER_KEYS)
    _check_keys("data", config["data"], " ".join([DATA_KEYS[kind], *(name.split(".")[1] for name in numbers)]))
    for head, options in (config["task"].get("heads") or {}).items():
        if (kind := options.get("kind")) in HEAD_KEYS:
            options = rename_keys(options, OPTION_ALIASES)
            _check_keys(f"task.heads.{head}", options, f"{COMMON_HEAD_KEYS} {HEAD_KEYS[kind]}")
    _check_numbers(config, NUMBERS | numbers)


def _check_keys(where: str, options: Mapping[str, Any], keys: str) -> None:
    if unknown := [key for key in options if key not in keys.split()]:
        raise InputError(f"{where} has no option {', '.join(unknown)}; it has {', '.join(keys.split())}")


def _check_numbers(config: Mapping[str, Any], numbers: Mapping[str, tuple[float, bool]]) -> None:
    for name, (smallest, optional) in numbers.items():
        value: Any = config
        for key in name.split("."):
            value = value.get(key)
        if value is None and optional:
            continue
        whole = isinstance(smallest, int)
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)) or not value >= smallest:
            kind = "whole number" if whole else "number"
            raise InputError(f"{name}={value!r}: a {kind} from {smallest:g} is wanted{', or null' * optional}")
