"""``asr align AUDIO TEXT --model MODEL``: the times of the words of a known text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from asr.cli._audio_options import Channel, Strict, Track, parse_channel
from asr.cli._decoder_options import Lexicon, Pronouncer
from asr.cli._inputs import open_inputs
from asr.cli._streams import print_json
from asr.errors import InputError
from asr.utils.text_files import read_text


def align(
    audio: Annotated[str, typer.Argument(metavar="AUDIO", help="Audio file, or - for standard input.")],
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="Text file with what is spoken, or - for standard input.")
    ],
    model: Annotated[str, typer.Option(help="Model directory, or a training run.")],
    format: Annotated[str, typer.Option(help="Output format: json, ctm, TextGrid, srt, vtt, tsv or txt.")] = "json",
    output: Annotated[Path | None, typer.Option(help="Write to this file, instead of printing.")] = None,
    channel: Channel = "mix",
    track: Track = None,
    strict: Strict = False,
    head: Annotated[
        str | None,
        typer.Option(help="Head to align with.", show_default="the head made for times, or else the first"),
    ] = None,
    lexicon: Lexicon = None,
    pronouncer: Pronouncer = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 …")] = "cpu",
) -> None:
    """Find the times of the words of a text in a recording, which may be hours long (forced alignment)."""
    from asr.output.formats import check_format, render
    from asr.output.paths import write_text_atomic

    check_format(format)
    if audio == text == "-":
        raise InputError("AUDIO and TEXT cannot both be standard input")
    words = read_text(text)
    (source,) = open_inputs([audio])
    from asr.inference.inputs import Recording
    from asr.inference.transcription import align_files

    pairs = [(Recording(source, parse_channel(channel), track, strict), words)]
    ((_, result),) = align_files(pairs, model, head=head, lexicon=lexicon, pronouncer=pronouncer, device=device)
    if isinstance(result, InputError):
        raise result
    if output is None:
        (print_json if format == "json" else print)(render(result, format), end="")
    else:
        write_text_atomic(output, render(result, format))
