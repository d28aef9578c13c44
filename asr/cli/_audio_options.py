"""Options of the commands that read audio: which channel and track, and what happens to damaged files."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from asr.errors import InputError

Channel = Annotated[
    str, typer.Option(metavar="N|mix", help="Channel that is read, from 1; mix: the mean of all channels.")
]
ChannelOrAll = Annotated[
    str,
    typer.Option(
        metavar="N|all|mix",
        help="Channel that is transcribed, from 1; all: each by itself; mix: the mean of all channels.",
    ),
]
Track = Annotated[int | None, typer.Option(min=1, help="Audio track of media files.", show_default="the first")]
Strict = Annotated[bool, typer.Option("--strict", help="Refuse files that are damaged or cut short.")]


def parse_channel(value: str) -> int | Literal["mix"]:
    """Return the value of --channel.

    Raises:
        InputError: neither a number from 1 on nor ``mix``.
    """
    if value == "mix":
        return "mix"
    if not value.isascii() or not value.isdigit() or int(value) < 1:
        raise InputError(f"--channel {value}: use a number from 1 on, or mix")
    return int(value)


def parse_channels(value: str) -> int | Literal["mix", "all"]:
    """Return the value of --channel of a command that accepts ``all`` too.

    Raises:
        InputError: neither a number from 1 on nor ``mix`` or ``all``.
    """
    if value == "all":
        return "all"
    try:
        return parse_channel(value)
    except InputError as error:
        raise InputError(f"{error} or all") from None
