"""``asr transcribe FILES… --model MODEL``: what is said in audio files."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asr.cli._decoder_options import Beam, Decoder, Head, HotWords, LanguageModel, Lexicon, NBest, decoder_config
from asr.cli._inputs import end, find_inputs
from asr.cli._progress import progress_bar
from asr.errors import InputError

if TYPE_CHECKING:
    from asr.inference.recognizer import Recognizer
    from asr.output.transcript import Transcript


def transcribe(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="FILES...", help="Audio files, folders, quoted globs, or - for standard input."),
    ],
    model: Annotated[str, typer.Option(help="A model directory, or a training run.")],
    format: Annotated[str, typer.Option(help="txt, json, srt, vtt, tsv, ctm or TextGrid.")] = "txt",
    output_dir: Annotated[
        Path | None, typer.Option(help="Write a file for each input here, instead of printing.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that are there already.")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 …")] = "cpu",
    batch_seconds: Annotated[float, typer.Option(min=1.0, help="Audio in a batch; less takes less memory.")] = 240.0,
    head: Head = None,
    beam: Beam = None,
    nbest: NBest = None,
    lm: LanguageModel = None,
    lexicon: Lexicon = None,
    hotwords: HotWords = "",
    decoder: Decoder = None,
) -> None:
    """Transcribe audio files. Everything is checked before work starts; one bad file does not stop the others."""
    from asr.output import formats

    if format not in formats.FORMATS:
        raise InputError(f"--format {format}: accepted are {', '.join(formats.FORMATS)}")
    if nbest is not None and format != "json":
        raise InputError("--nbest needs --format json, which has room for more than one text")
    from asr.audio import INPUT_EXTENSIONS
    from asr.inference import recognizer

    sources = find_inputs(inputs, INPUT_EXTENSIONS)
    outputs = plan_outputs(sources, output_dir, format, overwrite)
    if outputs is None and len(sources) > 1 and format in ("srt", "vtt", "tsv", "TextGrid"):
        raise InputError(f"--format {format} of several files needs --output-dir")
    config = decoder_config(beam, lm, lexicon, hotwords, decoder, nbest)
    recogniser = recognizer.load(model, device=device, head=head, decoder=config)
    recogniser.batch_seconds = batch_seconds
    done, failed = work(recogniser, sources, outputs, format)
    if outputs is None and done:
        print_all([done[index] for index in sorted(done)], format, alone=len(sources) == 1)
    end(failed, len(sources))


def plan_outputs(sources: list[str], output_dir: Path | None, format: str, overwrite: bool) -> list[Path] | None:
    """An output for each source, checked; None to print."""
    from asr.output.paths import output_paths

    if output_dir is None:
        return None
    if output_dir.exists() and not output_dir.is_dir():
        raise InputError(f"--output-dir {output_dir} is not a folder")
    outputs = output_paths(sources, output_dir, format)
    if not overwrite and (there := [str(path) for path in outputs if path.exists()]):
        shown = ", ".join(there[:3]) + (" …" if len(there) > 3 else "")
        raise InputError(f"{len(there)} outputs are there already: {shown} (--overwrite replaces them)")
    return outputs


def work(
    recogniser: Recognizer, sources: list[str], outputs: list[Path] | None, format: str
) -> tuple[dict[int, Transcript], dict[int, Exception]]:
    """Transcribe, longest files first; write each as it is done. Returns transcripts to print, and failures."""
    from asr.inference.inputs import durations
    from asr.output.formats import render
    from asr.output.paths import write_text_atomic

    opened: list[Any] = [io.BytesIO(sys.stdin.buffer.read()) if s == "-" else s for s in sources]
    lengths = durations(opened) if recogniser.sample_rate else [0.0] * len(opened)
    failed: dict[int, Exception] = {i: e for i, e in enumerate(lengths) if isinstance(e, Exception)}
    seconds = {i: s for i, s in enumerate(lengths) if not isinstance(s, Exception)}
    order = sorted(seconds, key=lambda i: -seconds[i])
    done: dict[int, Transcript] = {}
    with progress_bar(sum(seconds.values())) as advance:
        for position, result in recogniser.transcribe_all([opened[i] for i in order]):
            index = order[position]
            advance(seconds[index])
            if isinstance(result, Exception):
                failed[index] = result
            elif outputs is None:
                done[index] = result
            else:
                outputs[index].parent.mkdir(parents=True, exist_ok=True)
                write_text_atomic(outputs[index], render(result, format))
    return done, failed


def print_all(transcripts: list[Transcript], format: str, alone: bool) -> None:
    """Print transcripts; as text, several are preceded by their file's name."""
    from asr.output.formats import render

    if format == "txt" and not alone:
        for transcript in transcripts:
            print(f"{transcript.source}: {transcript.text}")
    else:
        print(render(transcripts[0] if alone else transcripts, format), end="")
