"""A model as a directory: configuration, vocabularies, weights, figures and a model card. No pickle anywhere."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, overload

import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from asr import __version__
from asr.errors import InputError
from asr.files import replacing, write_atomic
from asr.tasks.captioning import CaptioningTask
from asr.tasks.classification import ClassificationTask
from asr.tasks.ctc import CTCTask
from asr.tasks.language import LanguageTask
from asr.tasks.seq2seq import Seq2SeqTask
from asr.tasks.task import Task
from asr.vocabulary import Vocabulary

TASKS: dict[str, type[Task]] = {
    "ctc": CTCTask,
    "language": LanguageTask,
    "seq2seq": Seq2SeqTask,
    "captioning": CaptioningTask,
    "classification": ClassificationTask,
}
T = TypeVar("T", bound=Task)
CONFIG, WEIGHTS, METRICS, CARD = "config.yaml", "weights.safetensors", "metrics.json", "README.md"
# what a decoder's options may name, and what these files, or the directory of a model, are called in a model directory
# (.gz stays)
DECODER_FILES = {
    "lm": "lm.arpa",
    "character_lm": "character_lm.arpa",
    "lexicon": "lexicon.txt",
    "pronouncer": "pronouncer",
    "neural_lm": "neural_lm",
}

MODELS = ("pronouncer", "neural_lm")  # of those, what is a model directory


def make_task(config: Mapping[str, Any], vocabularies: Mapping[str, Vocabulary]) -> Task:
    """An untrained task from the groups of a configuration."""
    return task_class(config).from_config(config, vocabularies)


def task_class(config: Mapping[str, Any]) -> type[Task]:
    """The class of a configuration's task; InputError for a type that there is not."""
    if (kind := config["task"].get("type")) not in TASKS:
        raise InputError(f"task: type={kind!r} is not one of {', '.join(TASKS)}")
    return TASKS[kind]


def vocabulary_file(head: str, primary: str) -> str:
    """Name of a head's vocabulary in a model directory."""
    return "vocabulary.txt" if head == primary else f"vocabulary.{head}.txt"


def save(
    task: Task,
    directory: str | Path,
    config: Mapping[str, Any],
    metrics: Mapping[str, Any] | None = None,
    card: str = "",
) -> None:
    """Write a model directory, whole or not at all; one that was there is replaced.

    ``config`` needs the groups that `make_task` reads; what else it holds (seed, data, versions) is kept as it is. The
    files that its group ``decoder`` names are copied.
    """
    directory = Path(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        os.chmod(made, 0o755)  # mkdtemp's 0700 would keep a colleague from reading the model
        config = {**config, "asr_version": __version__}
        if config.get("decoder"):
            config["decoder"] = copy_decoder_files(config["decoder"], made)
        (made / CONFIG).write_bytes(dump(config))
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


def dump(config: Mapping[str, Any]) -> bytes:
    """A configuration as the content of a file."""
    return yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True).encode()


def copy_decoder_files(decoder: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    """Copy the models and dictionaries that a decoder's options name; the options with the copies' names."""
    options = dict(decoder)
    for key, name in DECODER_FILES.items():
        if options.get(key) is not None:
            source = find(options[key]) if key in MODELS else Path(options[key])
            options[key] = name + (".gz" if source.suffix == ".gz" else "")
            target = directory / options[key]
            if target.exists() and target.samefile(source):
                continue
            if source.is_dir():
                shutil.copytree(source, target, dirs_exist_ok=True)
            else:
                with replacing(target) as temporary:
                    shutil.copyfile(source, temporary)
    return options


def set_decoder(directory: Path, decoder: Mapping[str, Any]) -> None:
    """Make ``decoder`` how a model directory's model is decoded; the files that it names are copied."""
    config = read_config(directory) | {"decoder": copy_decoder_files(decoder, directory)}
    write_atomic(directory / CONFIG, dump(config))


def find(model: str | Path) -> Path:
    """The model directory that a path means: itself, or the one in a training run. InputError where there is none."""
    directory = Path(model)
    if not directory.is_dir():
        raise InputError(f"{model}: no such model directory (a training writes one to RUN_DIR/model)")
    inner = directory / "model"
    if (directory / CONFIG).exists() or inner.is_dir():
        return directory if (directory / CONFIG).exists() else inner
    if runs := sorted(str(path.parent) for path in directory.glob("*/model")):
        raise InputError(f"{model}: a folder of training runs; use one of them: {', '.join(runs[:5])}")
    return directory


def decoder_config(
    directory: Path, given: Mapping[str, Any] | None = None, head: str | None = None
) -> tuple[str, dict[str, Any]]:
    """How to decode: which head, and the options of `asr.decoder.make_decoder`.

    Those are the model's own, if ``head`` is the one (or None) that they were made for, and over them those that are
    ``given``. With ``type`` among these the model's own do not count.
    """
    config = read_config(directory)
    given = dict(given or {})
    own = dict(config.get("decoder") or {})
    own_head = own.pop("head", None) or next(iter(config["task"]["heads"]))
    head = own_head if head is None else head
    if "type" in given or head != own_head or own.get("type") == "greedy":
        own = {}
    own |= {key: str(directory / own[key]) for key in DECODER_FILES if own.get(key) is not None}
    return head, {"type": "beam" if given else "greedy"} | own | given


def read_config(directory: Path) -> dict[str, Any]:
    """The configuration of a model directory; InputError where there is none, naming the file."""
    path = directory / CONFIG
    if not path.is_file():
        raise InputError(f"{directory}: not a model directory (no {CONFIG} in it)")
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not YAML: {error}") from error
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
    for group in ("augmentation", "decoder"):
        if not isinstance(config.get(group) or {}, dict):
            raise InputError(f"{path}: {group} is not a mapping")
    return config


def on_device(task: T, device: str) -> T:
    """The task, moved; InputError for a device that cannot be used."""
    try:
        return task.to(device)
    except (RuntimeError, AssertionError) as error:  # the latter where torch was built without CUDA
        raise InputError(f"device {device!r} cannot be used: {error}") from error


@overload
def load(directory: str | Path) -> CTCTask: ...
@overload
def load(directory: str | Path, kind: type[T]) -> T: ...
def load(directory: str | Path, kind: type[Task] = CTCTask) -> Task:
    """The task of a model directory, in evaluation mode.

    Raises InputError naming the file that is at fault, and for a task that is not of the ``kind`` wanted.
    """
    directory = Path(directory)
    config = read_config(directory)
    if task_class(config) is not kind:
        wanted = next(name for name, made in TASKS.items() if made is kind)
        raise InputError(f"{directory}: a model of type {config['task']['type']}, where one of {wanted} is wanted")
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
