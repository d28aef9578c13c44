"""Write the model card: what a model is, how it was trained and how it scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch import nn

from asr._version import __version__
from asr.errors import InputError
from asr.metrics.significance import with_interval
from asr.models import directory

Figures = Mapping[str, Any]

INTERVALS = "In brackets: 95 % confidence intervals, by the bootstrap over speakers (over utterances if there is one). "


def splits(figures: Figures) -> Iterator[tuple[str, Any]]:
    """Yield dev and test with their figures, where there are any."""
    return ((split, figures[split]) for split in ("dev", "test") if figures.get(split))


def set_name(split: str, name: str) -> str:
    """Return the name to show of a manifest of dev or test; a single one has the name of its split."""
    return split if name == split else f"{split} {name}"


def named_sets(figures: Figures) -> Iterator[tuple[str, Any]]:
    """Yield each manifest of dev and test with its figures, by a name to show."""
    return ((set_name(split, name), row) for split, sets in splits(figures) for name, row in sets.items())


def model_name(model: str) -> str:
    """Return the name that a model was trained by, which says more to others than its path; or the path's last part."""
    with suppress(InputError):
        path = directory.find(model)
        return str(directory.read_config(path).get("training", {}).get("name") or path.name)
    return Path(model).name


def started_from(init: str | Mapping[str, str]) -> str:
    """Return the model, or the models of the parts, that the setting ``init`` names."""
    if isinstance(init, Mapping):
        return ", ".join(f"the model `{model_name(model)}` ({part})" for part, model in init.items())
    return f"the model `{model_name(init)}`"


def model_card(
    config: Mapping[str, Any],
    figures: Figures,
    *,
    description: str,
    data: str,
    header: Sequence[str],
    rows: Iterable[Sequence[Any]],
    command: str,
    note: str = "",
) -> str:
    """Return the Markdown of a model directory's README.md.

    Args:
        config: configuration of the training.
        figures: its figures, with the entry ``training``.
        description: the kind of model, its size and its vocabularies.
        data: amount of training data, with its unit.
        header: columns of the table of results.
        rows: rows of the table of results.
        command: an example of how to use the model.
        note: a sentence before the pointer to the configuration.
    """
    training = figures["training"]
    init = f" It started from the weights of {started_from(config['init'])}." if config["init"] else ""
    trained = (
        f"Trained on {data} for {training['epochs']} epochs ({training['minutes']:.1f} minutes on "
        f"{training['hardware']}), seed {training['seed']}; the weights are those of epoch {training['best_epoch']}, "
        f"the best on dev.{init}"
    )
    table = [f"| {' | '.join(map(str, row))} |" for row in (header, ["---"] * len(header), *rows)]
    lines = [f"# {config['name']}", "", f"Trained with asr {__version__}: {description}.", "", trained, "", *table, ""]
    lines += [f"{note}The whole configuration is in `config.yaml`.", "", "```", command, "```", ""]
    return "\n".join(lines)


def millions(task: nn.Module) -> str:
    """Return the number of weights of a task, in millions."""
    return f"{sum(parameter.numel() for parameter in task.parameters()) / 1e6:.2f} M"


def percent(figures: Figures, name: str) -> str:
    """Format a rate among figures as percent, with its confidence interval; an empty string where there is none."""
    rate = figures.get(name)
    return "" if rate is None else with_interval(rate, figures.get("interval_95", {}).get(name, ()))
