"""``asr info MODEL``: a model's configuration, training and scores."""

from __future__ import annotations

from typing import Annotated

import typer

from asr.cli._model_options import ModelArgument
from asr.cli._streams import print_json
from asr.utils.escape import to_json


def info(
    model: ModelArgument,
    json: Annotated[bool, typer.Option("--json", help="Print everything as a JSON object.")] = False,
) -> None:
    """Describe a model: its configuration, how it was trained, and its scores."""
    from asr.models import info as info_

    description = info_.read(model)
    if json:
        print_json(to_json(description, indent=2))
    else:
        print(info_.render(description), end="")
