"""A model as a directory: configuration, vocabularies, weights, figures and a model card. No pickle anywhere."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from asr import __version__
from asr.errors import InputError
from asr.tasks.ctc import CTCTask
from asr.vocabulary import Vocabulary

TASKS = {"ctc": CTCTask}
CONFIG, WEIGHTS, METRICS, CARD = "config.yaml", "weights.safetensors", "metrics.json", "README.md"


def make_task(config: Mapping[str, Any], vocabularies: Mapping[str, Vocabulary]) -> CTCTask:
    """An untrained task from the groups of a configuration."""
    kind = config["task"].get("type")
    if kind not in TASKS:
        raise InputError(f"task: type={kind!r} is not one of {', '.join(TASKS)}")
    return TASKS[kind].from_config(config, vocabularies)


def vocabulary_file(head: str, primary: str) -> str:
    """Name of a head's vocabulary in a model directory."""
    return "vocabulary.txt" if head == primary else f"vocabulary.{head}.txt"


def save(
    task: CTCTask,
    directory: str | Path,
    config: Mapping[str, Any],
    metrics: Mapping[str, Any] | None = None,
    card: str = "",
) -> None:
    """Write a model directory, whole or not at all; one that was there is replaced.

    ``config`` needs the groups that `make_task` reads; what else it holds (seed, data, versions) is kept as it is.
    """
    directory = Path(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        os.chmod(made, 0o755)  # mkdtemp's 0700 would keep a colleague from reading the model
        text = yaml.safe_dump({**config, "asr_version": __version__}, sort_keys=False, allow_unicode=True)
        (made / CONFIG).write_text(text, encoding="utf-8")
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


def read_config(directory: Path) -> dict[str, Any]:
    """The configuration of a model directory; InputError where there is none, naming the file."""
    path = directory / CONFIG
    if not path.is_file():
        raise InputError(f"{directory}: not a model directory (no {CONFIG} in it)")
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not YAML: {error}") from error
    if not isinstance(config, dict) or not all(
        isinstance(config.get(group), dict) for group in ("task", "features", "encoder")
    ):
        raise InputError(f"{path}: needs the groups task, features and encoder")
    heads = config["task"].get("heads")
    if not isinstance(heads, dict) or not heads or not all(isinstance(options, dict) for options in heads.values()):
        raise InputError(f"{path}: task.heads is not a mapping of heads to their options")
    if not isinstance(config.get("augmentation") or {}, dict):
        raise InputError(f"{path}: augmentation is not a mapping")
    return config


def load(directory: str | Path) -> CTCTask:
    """The task of a model directory, in evaluation mode. Raises InputError naming the file that is at fault."""
    directory = Path(directory)
    config = read_config(directory)
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
