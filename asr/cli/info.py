"""``asr info MODEL``: what a model is, how it was trained and what it scored."""

from __future__ import annotations

from typing import Annotated

import typer


def info(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model directory, or a training run.")],
    json: Annotated[bool, typer.Option("--json", help="Everything, as a JSON object.")] = False,
) -> None:
    """Say what a model is, how it was trained and what it scored."""
    from json import dumps

    from asr.models import info as info_

    found = info_.read(model)
    typer.echo(dumps(found, indent=2, ensure_ascii=False) if json else info_.render(found), nl=json)
