"""Options of the commands that run a model: which one, where, and how much at a time."""

from __future__ import annotations

from typing import Annotated

import typer

from asr.cli._completion import models

ANY_MODEL = "Model directory, a training run, or a model of the package."

Model = Annotated[str, typer.Option(help=ANY_MODEL, autocompletion=models)]
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help=ANY_MODEL, autocompletion=models)]
Ensemble = Annotated[
    list[str],
    typer.Option(help="Model directory, or a training run; given several times, an ensemble.", autocompletion=models),
]
LabelBeam = Annotated[int | None, typer.Option(min=1, help="Beam width of the search.", show_default="the model's own")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1 …")]
BatchSeconds = Annotated[float, typer.Option(min=1.0, help="Seconds of audio in a batch; fewer take less memory.")]
