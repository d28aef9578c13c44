"""``asr align AUDIO TEXT --model MODEL``: when each word of a known text was said."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from asr.cli._decoder_options import Lexicon, Pronouncer
from asr.errors import InputError
from asr.utils.text_files import read_text


def align(
    audio: Annotated[str, typer.Argument(metavar="AUDIO", help="An audio file, or - for standard input.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="A file with what is said in it, or -.")],
    model: Annotated[str, typer.Option(help="A model directory, or a training run.")],
    format: Annotated[str, typer.Option(help="json, ctm, TextGrid, srt, vtt, tsv or txt.")] = "json",
    output: Annotated[Path | None, typer.Option(help="Write to this file, instead of printing.")] = None,
    head: Annotated[
        str | None, typer.Option(help="The head to align with (default: that made for times, or else the first).")
    ] = None,
    lexicon: Lexicon = None,
    pronouncer: Pronouncer = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 …")] = "cpu",
) -> None:
    """Find the times of the words of a text in a recording, which may be hours long."""
    from asr.output.formats import FORMATS, render
    from asr.output.paths import write_text_atomic

    if format not in FORMATS:
        raise InputError(f"--format {format}: accepted are {', '.join(FORMATS)}")
    if audio == text == "-":
        raise InputError("audio and text cannot both be standard input")
    words = read_text(text)
    source: Any = io.BytesIO(sys.stdin.buffer.read()) if audio == "-" else audio
    from asr.inference import recognizer
    from asr.models import decoder_files
    from asr.models import directory as store

    directory = store.find(model)
    decoded, own = decoder_files.decoder_config(directory, None, head)
    loaded = recognizer.load(directory, device=device, head=decoded, decoder={"type": "greedy"})
    try:
        found = loaded.align(
            source,
            words,
            head=head,
            lexicon=lexicon or own.get("lexicon"),
            pronouncer=pronouncer or own.get("pronouncer"),
        )
    except InputError as error:
        raise InputError(str(error) if audio in str(error) else f"{audio}: {error}") from error
    if output is None:
        print(render(found, format), end="")
    else:
        write_text_atomic(output, render(found, format))
