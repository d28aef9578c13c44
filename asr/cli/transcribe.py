"""``asr transcribe FILES… --model MODEL``: transcripts of audio files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.cli._audio_options import ChannelOrAll, Strict, Track, parse_channels
from asr.cli._completion import formats
from asr.cli._decoder_options import (
    Beam,
    Decoder,
    Digits,
    Head,
    HotWords,
    LanguageModel,
    Lexicon,
    NBest,
    Plain,
    decoder_config,
)
from asr.cli._inputs import end, find_inputs, open_inputs
from asr.cli._model_options import BatchSeconds, Device, Model
from asr.cli._output_options import DEFAULTS, CueCharacters, CueLines, CueSeconds, Overwrite, SkipExisting
from asr.cli._progress import progress_bar
from asr.cli._streams import print_json
from asr.errors import InputError
from asr.models import pretrained
from asr.output.cues import CueLimits
from asr.utils.escape import escape_control

if TYPE_CHECKING:
    from asr.output.transcript import Transcript


def transcribe(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="FILES...", help="Audio files, folders, quoted globs, pipes, or - for standard input."),
    ],
    model: Model = pretrained.DEFAULT,
    format: Annotated[
        str,
        typer.Option(
            help="Output format: txt, json, srt, vtt, tsv, ctm or TextGrid; with --output-dir also several: srt,json.",
            autocompletion=formats,
        ),
    ] = "txt",
    output_dir: Annotated[
        Path | None, typer.Option(help="Write one file per input into this folder, instead of printing.")
    ] = None,
    overwrite: Overwrite = False,
    skip_existing: SkipExisting = False,
    device: Device = "cpu",
    batch_seconds: BatchSeconds = 240.0,
    plain: Plain = False,
    digits: Digits = False,
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
    cue_characters: CueCharacters = DEFAULTS.characters,
    cue_lines: CueLines = DEFAULTS.lines,
    cue_seconds: CueSeconds = DEFAULTS.seconds,
) -> None:
    """Transcribe audio files.

    Everything is checked before work starts; one file that cannot be read does not stop the others. What is done is
    printed or written at once, printed in the order of the inputs.
    """
    from asr.audio import INPUT_EXTENSIONS
    from asr.models.directory import find
    from asr.output.formats import FORMATS, parse_formats

    formats = parse_formats(format)
    if nbest is not None and "json" not in formats:
        raise InputError("--nbest needs --format json, which has room for more than one text")
    names = find_inputs(inputs, INPUT_EXTENSIONS)
    if output_dir is None and skip_existing:
        raise InputError("--skip-existing needs --output-dir")
    if output_dir is None and len(formats) > 1:
        raise InputError(f"--format {format}: several formats need --output-dir")
    if output_dir is None and len(names) > 1 and FORMATS[format].several is None:
        raise InputError(f"--format {format} of several files needs --output-dir")
    limits = CueLimits(cue_characters, cue_lines, cue_seconds)
    options = decoder_config(beam, lm, lexicon, hotwords, decoder, nbest)
    channels = parse_channels(channel)
    find(model)
    from asr.inference.transcription import transcribe_files  # imports torch, which takes a second

    results = transcribe_files(
        open_inputs(names),
        model,
        format=format,
        output_dir=output_dir,
        overwrite=overwrite,
        skip_existing=skip_existing,
        names=names,
        device=device,
        batch_seconds=batch_seconds,
        head=head,
        decoder=options,
        plain=plain,
        digits=digits,
        channel=channels,
        track=track,
        strict=strict,
        limits=limits,
        progress=progress_bar,
    )
    failed: dict[int, InputError] = {}
    printer = Printer(names, formats[0], limits)
    done = 0
    try:
        for index, result in results:
            done += 1
            if isinstance(result, InputError):
                failed[index] = result
            if output_dir is None:
                printer.add(index, [] if isinstance(result, InputError) else result)
    finally:
        printer.end()
    if skip_existing and (skipped := len(names) - done):
        print(f"{skipped} of {len(names)} files had their outputs already", file=sys.stderr)
    end(failed, len(names))


class Printer:
    """Prints transcripts in the order of their files, as soon as they and those before them are finished.

    As text, each of several follows the name of its file. In the formats that hold several in one document they are
    printed in the end.

    Args:
        names: of the files.
        format: of the output.
        limits: of the cues of subtitles.
    """

    def __init__(self, names: Sequence[str], format: str, limits: CueLimits) -> None:
        self.names = names
        self.format = format
        self.limits = limits
        self.waiting: dict[int, Sequence[Transcript]] = {}
        self.next = 0

    def add(self, index: int, transcripts: Sequence[Transcript]) -> None:
        """Take the transcript of a file, or those of its channels; none of a file that failed."""
        self.waiting[index] = transcripts
        if self.format != "txt":
            return
        while self.next in self.waiting:
            self._print_lines(self.next)
            self.next += 1

    def _print_lines(self, index: int) -> None:
        transcripts = self.waiting.pop(index)
        for transcript in transcripts:
            channel = "" if transcript.channel is None else f" [{transcript.channel}]"
            name = "" if len(self.names) == len(transcripts) == 1 else f"{escape_control(self.names[index])}{channel}: "
            print(f"{name}{' '.join(transcript.text.split())}", flush=True)

    def end(self) -> None:
        """Print what is left, also when an error ends the work before all files are done."""
        from asr.output.formats import render

        if self.format == "txt":
            for index in sorted(self.waiting):
                self._print_lines(index)
            return
        transcripts = [transcript for _, channels in sorted(self.waiting.items()) for transcript in channels]
        if transcripts:
            alone = len(self.names) == len(transcripts) == 1
            text = render(transcripts[0] if alone else transcripts, self.format, self.limits)
            (print_json if self.format == "json" else print)(text, end="")
