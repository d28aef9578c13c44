"""Describe a model directory without loading the model."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from asr.errors import InputError
from asr.models import directory as store
from asr.systems import SYSTEMS
from asr.text import vocabulary_file
from asr.utils.permissions import check_readable

SHOWN = ("data", "init")  # keys of the training configuration that no other part of the description has


def read(model: str | Path) -> dict[str, Any]:
    """Return the configuration, vocabularies, number of weights and figures of a model directory or training run.

    Raises:
        InputError: a file is missing or cannot be read; the message names it.
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
        "weights": weights(directory),
        "vocabularies": vocabularies,
        "config": config,
        "trained_on": {key: training[key] for key in SHOWN if training.get(key) is not None},
        "figures": _figures(directory / store.METRICS),
    }


def weights(directory: Path) -> int:
    """Return the number of weights of a model, from the header of its file.

    Raises:
        InputError: the file is missing or cannot be read.
    """
    if "hub" in (config := store.read_config(directory)):
        raise InputError(f"{config['hub']['model']}: asr info is for models of this package")
    if store.is_exported(directory):
        from asr.models.onnx_task import NetworkFile  # imports torch

        return NetworkFile.open(directory / store.ONNX).weights
    path = directory / store.WEIGHTS
    check_readable(path)
    try:
        with safe_open(path, framework="numpy") as file:
            return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read as safetensors: {error}") from error


def _figures(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        figures = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not JSON: {error}") from error
    if not isinstance(figures, dict):
        raise InputError(f"{path}: not a JSON object")
    return figures


def render(info: Mapping[str, Any]) -> str:
    """Format the result of `read` for people, a fact a line."""
    config, figures = dict(info["config"]), dict(info["figures"])
    task = {key: value for key, value in config.pop("task").items() if key != "heads"}
    version, type = config.pop("asr_version", None), task.pop("type")
    rows = [
        (
            "model",
            f"{info['name']}, {SYSTEMS[type].noun} (type {type})" + (f", made by asr {version}" if version else ""),
        ),
        ("directory", f"{info['directory']}, {info['bytes'] / 1e6:.1f} MB"),
        ("weights", f"{info['weights'] / 1e6:.2f} M"),
    ]
    rows += [(f"head {head}", f"{v['size']} {v['kind']}") for head, v in info["vocabularies"].items()]
    if "features" in config:
        precomputed = config["features"].get("type") == "precomputed"
        reads = "feature files (features: precomputed), not audio" if precomputed else "audio"
        rows.append(("reads", reads))
    rows += [(str(group), _options(options)) for group, options in [("task", task), *config.items()] if options]
    training = figures.pop("training", {})
    rows += [("trained", _options(training))] if training else []
    rows += [(f"its {key}", _options(value)) for key, value in info["trained_on"].items()]
    rows += [row for split, scores in figures.items() for row in _scores(split, scores)]
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


def _rate(name: str, value: Any) -> Any:
    """Return an error rate in percent; other values stay."""
    return f"{100 * value:.2f} %" if name in ("wer", "cer", "per", "accuracy") and isinstance(value, float) else value


def _scores(name: str, scores: Any) -> Iterator[tuple[str, str]]:
    """Yield a line for each set of figures, which may be nested by manifest and head."""
    if not isinstance(scores, Mapping):
        return
    plain = {key: value for key, value in scores.items() if isinstance(value, (int, float, str))}
    if plain:
        yield name, _options({key: _rate(key, value) for key, value in plain.items()})
        return
    for key, inner in scores.items():
        yield from _scores(name if key == name else f"{name} {key}", inner)
