"""``asr align AUDIO TEXT --model MODEL``: the times of the words of a known text, or of the texts of a corpus."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from asr.cli._audio_options import Channel, Strict, Track, parse_channel
from asr.cli._completion import formats
from asr.cli._decoder_options import Lexicon, Pronouncer
from asr.cli._inputs import end, open_inputs
from asr.cli._model_options import Device, Model
from asr.cli._output_options import DEFAULTS, CueCharacters, CueLines, CueSeconds, Overwrite, SkipExisting
from asr.cli._streams import print_json
from asr.errors import InputError
from asr.models import pretrained
from asr.output.cues import CueLimits
from asr.utils.text_files import read_text


def align(
    audio: Annotated[
        str,
        typer.Argument(
            metavar="AUDIO",
            help="Audio file, or - for standard input; without TEXT: a folder of audio files with their texts or "
            "segments beside them, or a manifest, see asr prepare folder --help.",
        ),
    ],
    model: Model = pretrained.DEFAULT,
    text: Annotated[
        str | None, typer.Argument(metavar="TEXT", help="Text file with what is spoken, or - for standard input.")
    ] = None,
    format: Annotated[
        str,
        typer.Option(
            help="Output format: json, ctm, TextGrid, srt, vtt, tsv or txt; with --output-dir also several: "
            "TextGrid,json.",
            autocompletion=formats,
        ),
    ] = "json",
    output: Annotated[Path | None, typer.Option(help="Write to this file, instead of printing.")] = None,
    output_dir: Annotated[Path | None, typer.Option(help="Write one file per recording into this folder.")] = None,
    overwrite: Overwrite = False,
    skip_existing: SkipExisting = False,
    close_gaps: Annotated[
        float,
        typer.Option(min=0.0, metavar="SECONDS", help="Let words meet where the gap between them is not longer."),
    ] = 0.0,
    channel: Channel = "mix",
    track: Track = None,
    strict: Strict = False,
    head: Annotated[
        str | None,
        typer.Option(help="Head to align with.", show_default="the head made for times, or else the first"),
    ] = None,
    lexicon: Lexicon = None,
    pronouncer: Pronouncer = None,
    spell_numbers: Annotated[
        bool, typer.Option("--spell-numbers", help="Write numbers as English words: 1984 is nineteen eighty four.")
    ] = False,
    device: Device = "cpu",
    cue_characters: CueCharacters = DEFAULTS.characters,
    cue_lines: CueLines = DEFAULTS.lines,
    cue_seconds: CueSeconds = DEFAULTS.seconds,
) -> None:
    """Find the times of the words of a text in a recording, which may be hours long (forced alignment).

    Of a folder or manifest one output is written for each recording. Texts of segments are aligned within these, their
    words have the recording's times, and several speakers have tiers of their own.

    Words that the model cannot write get the time between their neighbors; these, and texts that do not fit their
    recording, are named in warnings. With --strict such a text is an error. With a pronunciation dictionary the phones
    have times too (TextGrid, json).
    """
    from asr.models.directory import find
    from asr.output.formats import parse_formats, render
    from asr.output.paths import plan_outputs, write_text_atomic

    formats = parse_formats(format)
    limits = CueLimits(cue_characters, cue_lines, cue_seconds)
    if output is not None and output_dir is not None:
        raise InputError("--output and --output-dir: use one of them")
    if output_dir is None and (len(formats) > 1 or skip_existing):
        raise InputError("several formats and --skip-existing need --output-dir")
    corpus = text is None
    if corpus and output_dir is None:
        raise InputError(f"{audio}: give the TEXT of the recording, or --output-dir for a folder or manifest of many")
    if audio == text == "-":
        raise InputError("AUDIO and TEXT cannot both be standard input")
    given, unusable = ([(audio, [Part(read_text(text))])], []) if text is not None else read_corpus(audio)
    names = [name for name, _ in given]
    outputs = None if output_dir is None else plan_outputs(names, output_dir, formats, overwrite, skip_existing)
    channel_number = parse_channel(channel)
    find(model)
    from asr.inference.alignment import SpokenText, align_files  # imports torch, which takes a second
    from asr.inference.inputs import Recording
    from asr.text import numbers

    failed: dict[int, Exception] = dict(enumerate(unusable, start=len(given)))
    files = [
        [
            SpokenText(
                Recording(source, channel_number, track, strict, part.start, part.duration),
                numbers.spell_numbers(part.text) if spell_numbers else part.text,
                part.speaker,
            )
            for part in parts
        ]
        for source, (_, parts) in zip(open_inputs(names), given, strict=True)
    ]
    options = {"head": head, "lexicon": lexicon, "pronouncer": pronouncer, "device": device}
    results = align_files(files, model, **options, gap=close_gaps, strict=strict, outputs=outputs, limits=limits)  # type: ignore[arg-type]
    for index, result in results:
        if isinstance(result, InputError):
            if not corpus:
                raise result
            failed[index] = result
        elif output is not None:
            write_text_atomic(output, render(result[0], format, limits))
        elif output_dir is None:
            (print_json if format == "json" else print)(render(result[0], format, limits), end="")
    count = len(given) + len(unusable)
    if outputs is not None and (skipped := sum(not paths for paths in outputs)):
        print(f"{skipped} of {count} files had their outputs already", file=sys.stderr)
    end(failed, count)


@dataclass(frozen=True)
class Part:
    """A text of a file, and its times there in seconds; no duration: to the end."""

    text: str
    speaker: str = ""
    start: float = 0.0
    duration: float | None = None


def read_corpus(path: str) -> tuple[list[tuple[str, list[Part]]], list[InputError]]:
    """Return the audio files of a folder or manifest with their texts, or those of their segments.

    Returns:
        (audio file, its texts) pairs, and the errors of files of a folder that cannot be used.

    Raises:
        InputError: a folder without audio files, or a manifest that cannot be read.
    """
    from asr.data import manifest
    from asr.data.annotated_audio import folder_rows

    files: dict[str, list[Part]] = {}
    errors: list[InputError] = []
    if Path(path).is_dir():
        for row in folder_rows(Path(path), skip_bad=sys.maxsize):
            if isinstance(row, InputError):
                errors.append(row)
            else:
                part = Part(row.text, row.speaker, row.start, row.duration)
                files.setdefault(str(Path(path) / row.audio), []).append(part)
        if not files and not errors:
            raise InputError(f"{path}: has no audio files")
        return list(files.items()), errors
    for cut in manifest.read(path):
        name = manifest.audio_path(cut)
        if name is None:
            raise InputError(f"{path}: {cut.id} has features only; align audio files")
        is_whole = cut.start == 0 and cut.duration >= cut.recording.duration - manifest.TOLERANCE
        duration = None if is_whole else cut.duration
        files.setdefault(name, []).append(Part(manifest.text(cut), manifest.speaker(cut), cut.start, duration))
    return list(files.items()), errors
