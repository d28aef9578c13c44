"""The settings of a training as dataclasses, and the check of a composed configuration against them.

A dataclass describes a group of settings that no constructor takes: names and types are its fields, limits are their
metadata. The values stand in the YAML files of `configs/` only, with a comment each. A field has a default here only
where a recipe may leave the setting out: the options of a head. The groups that name a ``type`` are checked against the
constructor of that type (`asr.registry.check`), whose parameters are the description.

The dataclasses are not registered with Hydra as schemas. Hydra would check types only, would convert values ("3" to 3,
1 to true), has no type for "a path, a list or a mapping of paths", and its messages do not say what would be accepted.
So the composed mapping is checked here as a whole, before any work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from asr.audio.perturbation import Perturbation
from asr.errors import InputError
from asr.models import directory
from asr.registry import check
from asr.training.module import OPTIMIZERS, SCHEDULES
from asr.utils.options import check_choice, check_options, check_value

# Settings and groups of a training.
NAMES = ["name", "seed", "run_dir", "init", "resume", "trainer", "optimizer", "data", "task"]
NAMES += ["features", "encoder", "augmentation", "image_encoder", "label_rnn", "search", "decoder", "writing"]

Paths = Path | Sequence[Path] | Mapping[str, Path]


@dataclass
class Trainer:
    """The group ``trainer``."""

    epochs: int = field(metadata={"min": 1})
    max_minutes: float | None = field(metadata={"min": 0})
    fit_minutes: float | None = field(metadata={"min": 0})
    precision: str | int
    accelerator: str
    devices: int | str | Sequence[int]
    num_nodes: int = field(metadata={"min": 1})
    strategy: str
    threads: int | None = field(metadata={"min": 1})
    gradient_clip: float | None = field(metadata={"min": 0})
    gradient_clip_by: Literal["norm", "value"]
    gradient_warning: float | None = field(metadata={"min": 1})
    accumulate_batches: int = field(metadata={"min": 1})
    average_epochs: int = field(metadata={"min": 1})
    weight_noise: float = field(metadata={"min": 0})
    weight_noise_per: Literal["batch", "step"]
    weight_noise_from: Literal["start", "best_loss"]
    only: str | None
    monitor: str
    early_stopping: int | None = field(metadata={"min": 1})


@dataclass
class ClassificationData:
    """The group ``data`` of a classifier: manifests of speech, whose texts are the classes."""

    train: Paths | None
    dev: Paths | None
    test: Paths | None
    seconds: float = field(metadata={"min": 0})
    utterances: int | None = field(metadata={"min": 1})
    workers: int = field(metadata={"min": 0})
    cache_hours: float = field(metadata={"min": 0})
    perturbation: Mapping[str, Any] | None


@dataclass
class TransducerData(ClassificationData):
    """The group ``data`` of a transducer: manifests of transcribed speech."""

    unknown_text: Literal["skip", "error"]


@dataclass
class SpeechData(TransducerData):
    """The group ``data`` of a recognizer with CTC."""

    too_short: Literal["skip", "error"]
    teacher: Path | None
    teacher_weight: float = field(metadata={"min": 0})
    untranscribed: Path | Sequence[Path] | None


@dataclass
class TextData:
    """The group ``data`` of a language model: text files or manifests."""

    train: Path | Sequence[Path]
    dev: Path | Sequence[Path]
    test: Path | Sequence[Path] | None
    eos_after: Literal["file", "line", "sentence"]
    batch_size: int = field(metadata={"min": 1})
    bptt: int = field(metadata={"min": 1})


@dataclass
class ParallelTextData:
    """The group ``data`` of a seq2seq model: files of text pairs."""

    train: Path
    dev: Path
    test: Path | None
    labels: int = field(metadata={"min": 1})


@dataclass
class CaptionData(ParallelTextData):
    """The group ``data`` of a captioner: manifests of captioned images."""

    mirror: bool
    cache: Path | None


@dataclass
class Head:
    """A head, one of ``task.heads``: what its vocabulary is made of. Subclasses are kinds of vocabularies."""

    kind: str
    normalization: str | Mapping[str, Any] | None = None
    unknown: Literal["error", "skip", "map"] = "error"
    vocabulary: Path | None = None


@dataclass
class CharacterHead(Head):
    """A head of characters."""

    alphabet: str | None = None
    boundary_spaces: bool = False


@dataclass
class WordHead(Head):
    """A head of words."""

    min_count: int = field(default=1, metadata={"min": 1})


@dataclass
class PhoneHead(Head):
    """A head of phones."""

    phones: str | Sequence[str] | None = None
    fold: int | None = field(default=None, metadata={"choices": (48, 39)})


@dataclass
class SentencePieceHead(Head):
    """A head of SentencePiece units."""

    size: int = field(default=500, metadata={"min": 1})


@dataclass
class CTCHeadOptions:
    """What a head of a recognizer has besides its vocabulary."""

    weight: float = field(default=1.0, metadata={"min": 0})
    blank_penalty: float = field(default=0.0, metadata={"min": 0})
    crf: float = field(default=0.0, metadata={"min": 0})


HEADS: dict[str, type[Head]] = {
    "characters": CharacterHead,
    "words": WordHead,
    "phones": PhoneHead,
    "sentencepiece": SentencePieceHead,
    "classes": Head,
}


def check_settings(config: Mapping[str, Any]) -> None:
    """Check the settings of a composed configuration that no constructor checks before the first step.

    Args:
        config: groups and settings by name, by their present names (`asr.models.aliases.rename_settings`).

    Raises:
        InputError: a setting is unknown, missing, of the wrong type or outside its limits; the message names it and
            says what would be accepted.
    """
    _check_groups(config, "task", "trainer", "optimizer", "data")
    system = directory.system_of(config)
    job = system.load("job")
    _check_groups(config, *system.load("task").groups, *job.groups)
    check_value("seed", config.get("seed"), int, min=0)
    check_options("trainer", config["trainer"], Trainer)
    check_options("data", config["data"], system.load("data"))
    if perturbation := config["data"].get("perturbation"):
        check_options("data.perturbation", perturbation, Perturbation)
    optimizer = dict(config["optimizer"])
    schedule = optimizer.pop("schedule", None)
    check(OPTIMIZERS, optimizer, "optimizer", ["params"])
    if schedule not in (None, {}):
        check(SCHEDULES, schedule, "optimizer.schedule", ["optimizer", "max_lr", "total_steps", "mode"])
        if schedule["type"] == "one_cycle" and "lr" not in optimizer:
            raise InputError("optimizer: the schedule one_cycle needs the option lr")
    if config["trainer"]["weight_noise_from"] == "best_loss" and not config["trainer"]["weight_noise"]:
        raise InputError("trainer.weight_noise_from=best_loss: trainer.weight_noise is needed too, such as 0.075")
    if config["trainer"].get("fit_minutes") and (schedule or {}).get("type") != "one_cycle":
        raise InputError("trainer.fit_minutes: only the schedule one_cycle can be made to end in time")
    heads = config["task"].get("heads") or {}
    if not isinstance(heads, Mapping):
        raise InputError(f"task.heads={heads!r}: expected a mapping of heads to their options")
    for head, options in heads.items():
        _check_head(f"task.heads.{head}", options, job.head_options)


def _check_groups(config: Mapping[str, Any], *groups: str) -> None:
    for group in groups:
        if not isinstance(config.get(group), Mapping):
            raise InputError(f"the configuration has no group {group}")


def _check_head(where: str, options: Any, further: type | None) -> None:
    """Check the options of a head, those of ``further`` among them; those of other kinds must have default values."""
    if not isinstance(options, Mapping):
        raise InputError(f"{where}={options!r}: expected a mapping of options")
    check_choice(f"{where}.kind", options.get("kind"), HEADS)
    schemas = [HEADS[options["kind"]], *([further] if further else [])]
    own = {f.name for schema in schemas for f in fields(schema)}
    unused = {f.name: f.default for schema in HEADS.values() for f in fields(schema) if f.name not in own}
    # a group's default kind may be another one: `kind: phones` in a recipe leaves the options of characters in place
    used = {name: value for name, value in options.items() if name not in unused or value != unused[name]}
    check_options(where, used, *schemas)
