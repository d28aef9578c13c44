"""``asr info MODEL``: a model's configuration, training and scores."""

from __future__ import annotations

from typing import Annotated

import typer


def info(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model directory, or a training run.")],
    json: Annotated[bool, typer.Option("--json", help="Print everything as a JSON object.")] = False,
) -> None:
    """Describe a model: its configuration, how it was trained, and its scores."""
    from json import dumps

    from asr.models import info as info_

    description = info_.read(model)
    typer.echo(dumps(description, indent=2, ensure_ascii=False) if json else info_.render(description), nl=json)
