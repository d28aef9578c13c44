"""Options of the commands that score: the texts compared, and what is reported."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Normalization = Annotated[
    str, typer.Option(help="Of all texts before they are compared: none, or english (no case, no punctuation).")
]
BySpeaker = Annotated[bool, typer.Option("--by-speaker", help="Report each speaker too.")]
Figures = Annotated[Path | None, typer.Option(help="Write the figures to this file.")]
