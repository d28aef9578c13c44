"""The files in configs/ have every option of what they configure, and say what each is."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from asr.audio.perturbation import Perturbation
from asr.inference.decoders.factory import DECODERS
from asr.systems import SYSTEMS
from asr.tasks._builders import ENCODERS, LABEL_RNNS, SEARCHES
from asr.tasks.captioning import IMAGE_ENCODERS
from asr.tasks.speech_frontend import AUGMENTATIONS, FEATURES
from asr.training import schema
from asr.training.module import OPTIMIZERS, SCHEDULES
from asr.utils import resources

CONFIGS = resources.folder("configs")
FILES = sorted(path.relative_to(CONFIGS).as_posix() for path in CONFIGS.rglob("*.yaml"))
REGISTRIES: dict[str, Mapping[str, Any]] = {
    "features": FEATURES,
    "encoder": ENCODERS,
    "augmentation": AUGMENTATIONS,
    "image_encoder": IMAGE_ENCODERS,
    "label_rnn": LABEL_RNNS,
    "search": SEARCHES,
    "decoder": DECODERS,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "task": {name: system.load("task") for name, system in SYSTEMS.items()},
}
# parameters that the program gives
GIVEN = {
    "encoder": {"input_size"},
    "label_rnn": {"labels", "memory_size", "outputs"},
    "decoder": {"vocabulary", "network"},
    "task": {
        "features",
        "encoder",
        "vocabularies",
        "network",
        "prediction",
        "options",
        "augmentation",
        "weights",
        "blank_penalties",
        "crf",
    },
    "optimizer": {"params"},
    "schedule": {"optimizer", "max_lr", "total_steps", "mode", "last_epoch", "epochs", "steps_per_epoch"},
}
# options that something else than the constructor reads
OTHERS = {
    "image_encoder": {"weights"},
    "decoder": {"head"},
    "optimizer": {"schedule"},
    "task": {"heads", "attention", "joint_size"},
}
# options of torch's optimizers that are of no use here
LEFT_OUT = {"optimizer": {"maximize", "capturable", "differentiable"}}


def read(path: str) -> dict[str, Any]:
    """Return the content of a file; what it has from task/base/ctc.yaml is included."""
    content: Any = OmegaConf.to_container(OmegaConf.load(CONFIGS / path))
    bases = [default.split("@")[0] for default in content.pop("defaults", []) if "base/" in default]
    for base in bases:
        content = read(f"{Path(path).parent}/{base}.yaml") | content
    return {str(key): value for key, value in content.items()}


def typed() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the file, group and options of each mapping that names a type of a registry."""
    for path in FILES:
        group, _, name = path.rpartition("/")
        if group not in REGISTRIES:
            continue
        content = read(path)
        for key, options in content.items() if group == "augmentation" else [(name, content)]:
            yield f"{path} {key}", group, options
        if group == "optimizer":
            yield f"{path} schedule", "schedule", content["schedule"]


TYPED = list(typed())


@pytest.mark.parametrize(("group", "options"), [row[1:] for row in TYPED], ids=[row[0] for row in TYPED])
def test_a_group_has_every_option_of_its_constructor(group: str, options: dict[str, Any]) -> None:
    parameters = set(inspect.signature(REGISTRIES[group][options["type"]]).parameters)
    accepted = parameters - GIVEN.get(group, set()) - LEFT_OUT.get(group, set())
    assert set(options) - {"type"} - OTHERS.get(group, set()) == accepted


@pytest.mark.parametrize("group", REGISTRIES)
def test_every_type_of_a_registry_has_a_file(group: str) -> None:
    types = {options["type"] for _, of, options in TYPED if of == group}
    assert types == set(REGISTRIES[group]) - {"constant"}  # the schedule that `schedule: null` means


def fields(*classes: type) -> set[str]:
    return {field.name for cls in classes for field in dataclasses.fields(cls)}


def test_the_trainer_has_every_setting_of_its_dataclass() -> None:
    assert set(read("trainer/default.yaml")) == fields(schema.Trainer)


@pytest.mark.parametrize("training", [path for path in FILES if path.startswith("train") and "/" not in path])
def test_a_training_has_every_setting_of_its_data(training: str) -> None:
    content: Any = OmegaConf.to_container(OmegaConf.load(CONFIGS / training))
    choices = {
        key: value for default in content["defaults"] if isinstance(default, dict) for key, value in default.items()
    }
    system = SYSTEMS[read(f"task/{choices['task']}.yaml")["type"]]
    data = read(f"data/{choices['data']}.yaml")
    assert set(data) == fields(system.load("data"))
    if "perturbation" in data:
        assert set(data["perturbation"]) == fields(Perturbation)


@pytest.mark.parametrize("path", [path for path in FILES if path.startswith("task/") and "base" not in path])
def test_a_task_has_every_option_of_its_heads(path: str) -> None:
    task = read(path)
    for options in task["heads"].values():
        further = SYSTEMS[task["type"]].load("job").head_options
        assert set(options) == fields(schema.HEADS[options["kind"]], *([further] if further else []))


def test_every_kind_of_vocabulary_has_a_head() -> None:
    tasks = [read(path) for path in FILES if path.startswith("task/") and "base" not in path]
    assert {options["kind"] for task in tasks for options in task["heads"].values()} == set(schema.HEADS)


@pytest.mark.parametrize("path", FILES)
def test_every_setting_has_a_comment(path: str) -> None:
    """A group of settings has its comment above it or in its first lines."""
    text = (CONFIGS / path).read_text(encoding="utf-8")
    assert text.startswith("# ")
    bare = [
        line
        for line in text.splitlines()
        if re.match(r" *(- )?\w+:", line) and "#" not in line and line.strip() not in ("defaults:", "heads:")
    ]
    named = [line for line in bare if not re.match(r"( *(- )?(type|kind|warp|specaugment|optimizer|trainer):)", line)]
    assert not named


@pytest.mark.parametrize("path", FILES)
def test_numbers_are_numbers_of_plain_yaml_too(path: str) -> None:
    """1e-3 is a number for Hydra and a string for PyYAML, which reads the configuration of a model."""
    text = (CONFIGS / path).read_text(encoding="utf-8")
    assert yaml.safe_load(text) == OmegaConf.to_container(OmegaConf.create(text))
