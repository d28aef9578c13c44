"""``asr transcribe FILES… --model MODEL``: transcripts of audio files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.cli._audio_options import ChannelOrAll, Strict, Track, parse_channels
from asr.cli._decoder_options import Beam, Decoder, Head, HotWords, LanguageModel, Lexicon, NBest, decoder_config
from asr.cli._inputs import end, find_inputs, open_inputs
from asr.cli._progress import progress_bar
from asr.errors import InputError

if TYPE_CHECKING:
    from asr.output.transcript import Transcript


def transcribe(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="FILES...", help="Audio files, folders, quoted globs, or - for standard input."),
    ],
    model: Annotated[str, typer.Option(help="Model directory, or a training run.")],
    format: Annotated[str, typer.Option(help="Output format: txt, json, srt, vtt, tsv, ctm or TextGrid.")] = "txt",
    output_dir: Annotated[
        Path | None, typer.Option(help="Write one file per input into this folder, instead of printing.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 …")] = "cpu",
    batch_seconds: Annotated[
        float, typer.Option(min=1.0, help="Seconds of audio in a batch; fewer take less memory.")
    ] = 240.0,
    channel: ChannelOrAll = "mix",
    track: Track = None,
    strict: Strict = False,
    head: Head = None,
    beam: Beam = None,
    nbest: NBest = None,
    lm: LanguageModel = None,
    lexicon: Lexicon = None,
    hotwords: HotWords = "",
    decoder: Decoder = None,
) -> None:
    """Transcribe audio files.

    Everything is checked before work starts; one file that cannot be read does not stop the others.
    """
    from asr.audio import INPUT_EXTENSIONS
    from asr.output.formats import FORMATS, check_format

    check_format(format)
    if nbest is not None and format != "json":
        raise InputError("--nbest needs --format json, which has room for more than one text")
    names = find_inputs(inputs, INPUT_EXTENSIONS)
    if output_dir is None and len(names) > 1 and FORMATS[format].several is None:
        raise InputError(f"--format {format} of several files needs --output-dir")
    from asr.inference.transcription import transcribe_files

    results = transcribe_files(
        open_inputs(names),
        model,
        format=format,
        output_dir=output_dir,
        overwrite=overwrite,
        device=device,
        batch_seconds=batch_seconds,
        head=head,
        decoder=decoder_config(beam, lm, lexicon, hotwords, decoder, nbest),
        channel=parse_channels(channel),
        track=track,
        strict=strict,
        progress=progress_bar,
    )
    to_print: dict[int, list[Transcript]] = {}
    failed: dict[int, InputError] = {}
    for index, result in results:
        if isinstance(result, InputError):
            failed[index] = result
        elif output_dir is None:
            to_print.setdefault(index, []).append(result)
    transcripts = [
        transcript
        for index in sorted(to_print.keys() - failed.keys())
        for transcript in sorted(to_print[index], key=lambda transcript: transcript.channel or 0)
    ]
    if transcripts:
        print_transcripts(transcripts, format, alone=len(names) == len(transcripts) == 1)
    end(failed, len(names))


def print_transcripts(transcripts: list[Transcript], format: str, alone: bool) -> None:
    """Print transcripts; as text, each of several follows the name of its file, and the channel."""
    from asr.output.formats import render

    if format == "txt" and not alone:
        for transcript in transcripts:
            channel = "" if transcript.channel is None else f" [{transcript.channel}]"
            print(f"{transcript.source}{channel}: {transcript.text}")
    else:
        print(render(transcripts[0] if alone else transcripts, format), end="")
