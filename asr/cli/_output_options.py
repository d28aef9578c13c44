"""Options of the commands that write transcripts: files that exist, and how much a cue of subtitles holds."""

from __future__ import annotations

from typing import Annotated

import typer

from asr.output.cues import CueLimits

DEFAULTS = CueLimits()

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")]
SkipExisting = Annotated[
    bool, typer.Option("--skip-existing", help="Keep outputs that exist: do only what is missing.")
]

CueCharacters = Annotated[int, typer.Option(min=1, help="Subtitles: characters of a line.")]
CueLines = Annotated[int, typer.Option(min=1, help="Subtitles: lines of a cue.")]
CueSeconds = Annotated[float, typer.Option(min=1.0, help="Subtitles: seconds of a cue.")]
