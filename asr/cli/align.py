"""``asr align AUDIO TEXT --model MODEL``: the times of the words of a known text, or of the texts of a corpus."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.cli._audio_options import Channel, Strict, Track, parse_channel
from asr.cli._decoder_options import Lexicon, Pronouncer
from asr.cli._inputs import end, find_inputs, open_inputs
from asr.cli._streams import print_json
from asr.errors import InputError
from asr.utils.text_files import read_text

if TYPE_CHECKING:
    from asr.inference.inputs import Recording


def align(
    audio: Annotated[
        str,
        typer.Argument(
            metavar="AUDIO",
            help="Audio file, or - for standard input; without TEXT: a folder of audio files with their .txt beside "
            "them, or a manifest.",
        ),
    ],
    model: Annotated[str, typer.Option(help="Model directory, or a training run.")],
    text: Annotated[
        str | None, typer.Argument(metavar="[TEXT]", help="Text file with what is spoken, or - for standard input.")
    ] = None,
    format: Annotated[
        str,
        typer.Option(
            help="Output format: json, ctm, TextGrid, srt, vtt, tsv or txt; with --output-dir also several: "
            "TextGrid,json."
        ),
    ] = "json",
    output: Annotated[Path | None, typer.Option(help="Write to this file, instead of printing.")] = None,
    output_dir: Annotated[Path | None, typer.Option(help="Write one file per recording into this folder.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")] = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Keep outputs that exist: do only what is missing.")
    ] = False,
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
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 …")] = "cpu",
) -> None:
    """Find the times of the words of a text in a recording, which may be hours long (forced alignment).

    Words that the model cannot write get the time between their neighbors; these, and texts that do not fit their
    recording, are named in warnings. With --strict such a text is an error. With a pronunciation dictionary the phones
    have times too (TextGrid, json).
    """
    from asr.output.formats import parse_formats, render
    from asr.output.paths import plan_outputs, write_text_atomic

    formats = parse_formats(format)
    if output is not None and output_dir is not None:
        raise InputError("--output and --output-dir: use one of them")
    if output_dir is None and (len(formats) > 1 or skip_existing):
        raise InputError("several formats and --skip-existing need --output-dir")
    corpus = text is None
    if corpus and output_dir is None:
        raise InputError(f"{audio}: give the TEXT of the recording, or --output-dir for a folder or manifest of many")
    if audio == text == "-":
        raise InputError("AUDIO and TEXT cannot both be standard input")
    given = read_corpus(audio) if text is None else [(audio, read_text(text))]
    failed: dict[int, Exception] = {
        index: words for index, (_, words) in enumerate(given) if isinstance(words, InputError)
    }
    usable = [(index, name, words) for index, (name, words) in enumerate(given) if isinstance(words, str)]
    names = [name for _, name, _ in usable]
    outputs = None if output_dir is None else plan_outputs(names, output_dir, formats, overwrite, skip_existing)
    sources = open_inputs(names)
    from asr.inference.inputs import Recording
    from asr.inference.transcription import align_files
    from asr.text import numbers

    pairs: list[tuple[Recording, str]] = [
        (
            Recording(source, parse_channel(channel), track, strict),
            numbers.spell_numbers(words) if spell_numbers else words,
        )
        for source, (_, _, words) in zip(sources, usable, strict=True)
    ]
    options = {"head": head, "lexicon": lexicon, "pronouncer": pronouncer, "device": device}
    results = align_files(pairs, model, **options, close_gaps=close_gaps, strict=strict, outputs=outputs)  # type: ignore[arg-type]
    for position, result in results:
        if isinstance(result, InputError):
            if not corpus:
                raise result
            failed[usable[position][0]] = result
        elif output is not None:
            write_text_atomic(output, render(result, format))
        elif output_dir is None:
            (print_json if format == "json" else print)(render(result, format), end="")
    if outputs is not None and (skipped := sum(not paths for paths in outputs)):
        print(f"{skipped} of {len(given)} files had their outputs already", file=sys.stderr)
    end(failed, len(given))


def read_corpus(path: str) -> list[tuple[str, str | InputError]]:
    """Return the audio files of a folder or manifest, each with its text, or why there is none.

    Raises:
        InputError: a folder without audio files, or a manifest that cannot be read or has segments of recordings.
    """
    if Path(path).is_dir():
        from asr.audio import INPUT_EXTENSIONS

        return [(name, _text_beside(Path(name))) for name in find_inputs([path], INPUT_EXTENSIONS)]
    from asr.data import manifest

    pairs: list[tuple[str, str | InputError]] = []
    for cut in manifest.read(path):
        name = manifest.audio_path(cut)
        if name is None:
            raise InputError(f"{path}: {cut.id} has features only; align audio files")
        if cut.start > 0 or cut.duration < cut.recording.duration - manifest.TOLERANCE:
            raise InputError(f"{path}: {cut.id} is a segment of {name}; whole recordings are aligned")
        pairs.append((name, manifest.text(cut)))
    return pairs


def _text_beside(audio: Path) -> str | InputError:
    for suffix in (".txt", ".TXT", ".lab"):
        if (path := audio.with_suffix(suffix)).is_file():
            try:
                return read_text(path)
            except InputError as error:
                return error
    return InputError(f"{audio}: no .txt beside it")
