"""What a model directory says of its model, without loading it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from asr.errors import InputError
from asr.models import directory as store
from asr.text import vocabulary_file

SHOWN = ("data", "init")  # of the training's own configuration, what is not said elsewhere


def read(model: str | Path) -> dict[str, Any]:
    """Configuration, vocabularies, number of weights and figures of a model directory or run.

    Raises InputError naming the file that is missing or cannot be understood.
    """
    directory = store.find(model)
    config = store.read_config(directory)
    heads = list(config["task"]["heads"])
    vocabularies = {}
    for head in heads:
        header, tokens, _ = vocabulary_file.read(directory / store.vocabulary_file(head, heads[0]))
        vocabularies[head] = {"kind": header.get("kind"), "size": len(tokens)}
    training = config.pop("training", {})
    return {
        "directory": str(directory),
        "name": training.get("name", directory.name),
        "bytes": sum(path.stat().st_size for path in directory.rglob("*") if path.is_file()),
        "weights": weights(directory / store.WEIGHTS),
        "vocabularies": vocabularies,
        "config": config,
        "trained_on": {key: training[key] for key in SHOWN if training.get(key) is not None},
        "figures": _figures(directory / store.METRICS),
    }


def weights(path: Path) -> int:
    """How many numbers a file of weights holds, by its header."""
    try:
        with safe_open(path, framework="numpy") as file:
            return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read as safetensors: {error}") from error


def _figures(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not JSON: {error}") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: not a JSON object")
    return found


def render(info: Mapping[str, Any]) -> str:
    """The same for people, a fact a line."""
    config, figures = dict(info["config"]), dict(info["figures"])
    task = {key: value for key, value in config.pop("task").items() if key != "heads"}
    version = config.pop("asr_version", None)
    rows = [
        ("model", f"{info['name']}, of type {task.pop('type')}" + (f", made by asr {version}" if version else "")),
        ("directory", f"{info['directory']}, {info['bytes'] / 1e6:.1f} MB"),
        ("weights", f"{info['weights'] / 1e6:.2f} M"),
    ]
    rows += [(f"head {head}", f"{v['size']} {v['kind']}") for head, v in info["vocabularies"].items()]
    rows += [(group, _options(options)) for group, options in [("task", task), *config.items()] if options]
    trained = figures.pop("training", {})
    rows += [("trained", _options(trained))] if trained else []
    rows += [(f"its {key}", _options(value)) for key, value in info["trained_on"].items()]
    rows += [row for split, found in figures.items() for row in _scores(split, found)]
    width = max(len(name) for name, _ in rows)
    return "".join(f"{name:<{width}}  {value}\n" for name, value in rows)


def _options(value: Any) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    return ", ".join(f"{key} {_short(inner)}" for key, inner in value.items() if inner not in (None, {}, [], ""))


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"({_options(value)})"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _scores(where: str, found: Any) -> Iterator[tuple[str, str]]:
    """A line for each set of figures, which may lie under the names of manifests and heads."""
    if not isinstance(found, Mapping):
        return
    plain = {key: value for key, value in found.items() if isinstance(value, (int, float, str))}
    if plain:
        yield where, _options(plain)
        return
    for name, inner in found.items():
        yield from _scores(where if name == where else f"{where} {name}", inner)
