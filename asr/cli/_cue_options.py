"""Options of the commands that write subtitles: how much a cue holds."""

from __future__ import annotations

from typing import Annotated

import typer

from asr.output.cues import CueLimits

DEFAULTS = CueLimits()

CueCharacters = Annotated[int, typer.Option(min=1, help="Subtitles: characters of a line.")]
CueLines = Annotated[int, typer.Option(min=1, help="Subtitles: lines of a cue.")]
CueSeconds = Annotated[float, typer.Option(min=1.0, help="Subtitles: seconds of a cue.")]
