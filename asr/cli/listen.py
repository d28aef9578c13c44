"""``asr listen``: live captions of a microphone, a file or raw samples."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asr.cli._captions import make_captions
from asr.cli._completion import formats
from asr.cli._decoder_options import (
    Beam,
    Decoder,
    Digits,
    Head,
    HotWords,
    LanguageModel,
    Lexicon,
    Plain,
    decoder_config,
)
from asr.cli._inputs import STDIN
from asr.cli._model_options import Model
from asr.cli._output_options import Overwrite
from asr.errors import InputError
from asr.models import pretrained
from asr.utils.escape import escape_control

if TYPE_CHECKING:
    from asr.audio.arriving import ArrivingAudio

STREAM_RATE = 16_000


def listen(
    model: Model = pretrained.DEFAULT,
    device: Annotated[
        str | None,
        typer.Option(metavar="NUMBER|NAME", help="Audio input, or a part of its name.", show_default="the usual one"),
    ] = None,
    list_devices: Annotated[bool, typer.Option("--list-devices", help="Print the audio inputs, and end.")] = False,
    file: Annotated[
        str | None,
        typer.Option(
            metavar="AUDIO|-",
            help="Play a file in real time in place of a microphone; -: raw samples from standard input (16-bit "
            "little-endian, mono).",
        ),
    ] = None,
    rate: Annotated[
        int | None,
        typer.Option(metavar="HZ", help="Sample rate of the raw samples of --file -.", show_default=str(STREAM_RATE)),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the audio there, .wav or .flac, and the transcript beside it.",
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            help="Formats of the transcript that --save writes: txt, json, srt, vtt, tsv, ctm, TextGrid.",
            show_default="txt",
            autocompletion=formats,
        ),
    ] = None,
    overwrite: Overwrite = False,
    json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each event, for programs.")] = False,
    plain: Plain = False,
    digits: Digits = False,
    head: Head = None,
    beam: Beam = None,
    lm: LanguageModel = None,
    lexicon: Lexicon = None,
    hotwords: HotWords = "",
    decoder: Decoder = None,
) -> None:
    """Show live captions of a microphone.

    Words that may still change are dim; those that will not are plain. Where the output is no terminal, only these are
    printed. Ctrl-C ends it: what was said is recognized to its end, and saved.
    """
    from asr.output.formats import parse_formats

    if list_devices:
        print_devices()
        return
    if file is not None and device is not None:
        raise InputError("--file takes the place of a microphone: leave out --device")
    if rate is not None and file != STDIN:
        raise InputError("--rate is that of raw samples: add --file -, or leave it out")
    if format is not None and save is None:
        raise InputError("--format is that of a transcript that is saved: add --save FILE, or leave it out")
    extensions = parse_formats(format or "txt")
    options = decoder_config(beam, lm, lexicon, hotwords, decoder)
    with ExitStack() as stack:
        open_source = source_opener(file, device, STREAM_RATE if rate is None else rate, stack)
        from asr.inference.listening import LiveSession  # imports torch, which takes a second

        session = LiveSession.load(
            model,
            save=save,
            formats=extensions,
            overwrite=overwrite,
            head=head,
            decoder=options,
            plain=plain,
            digits=digits,
        )
        captions = make_captions(json)
        audio = open_source(session.live.sample_rate)
        with stopped_by_signals(audio):
            if file is None and sys.stderr.isatty():
                print(f"asr: listening to the {audio.name}; Ctrl-C ends it", file=sys.stderr)
            try:
                for event in session.run(audio):
                    captions.show(event)
            finally:
                captions.end()
    for path in session.written:
        print(f"asr: wrote {escape_control(str(path))}", file=sys.stderr)


def print_devices() -> None:
    """Print the audio inputs, the usual one marked."""
    from asr.audio.microphone import input_devices

    devices = input_devices()
    if not devices:
        raise InputError("this machine has no audio input")
    for device in devices:
        mark = "*" if device.is_default else " "
        name = escape_control(device.name)
        print(f"{mark} {device.number}  {name} ({device.channels} channels, {device.sample_rate} Hz)")


def source_opener(file: str | None, device: str | None, rate: int, stack: ExitStack) -> Callable[[int], ArrivingAudio]:
    """Check a source of audio before the model is loaded; return what opens it, given the model's sample rate."""
    from asr import audio
    from asr.audio.arriving import check_rate, play_file, read_pcm

    if file == STDIN:
        check_rate(rate)
        return lambda wanted: read_pcm(stdin_reader(), "standard input", wanted, rate)
    if file is not None:
        audio.info(file)
        return lambda wanted: play_file(file, wanted)
    from asr.audio.microphone import find_device, open_microphone

    found = find_device(device)
    return lambda wanted: stack.enter_context(open_microphone(found, wanted))


def stdin_reader() -> Callable[[int], bytes]:
    """Return what reads standard input as soon as something is there."""
    stream: Any = sys.stdin.buffer
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):  # replaced by a caller
        return lambda size: stream.read(size)
    # not the buffer: Python cannot end while another thread waits in its lock
    return lambda size: os.read(descriptor, size)


@contextmanager
def stopped_by_signals(audio: ArrivingAudio) -> Iterator[None]:
    """Have SIGINT and SIGTERM stop the audio; a second one ends the program as usual."""
    before: dict[signal.Signals, Any] = {}

    def stop(number: int, frame: Any) -> None:
        for each, handler in before.items():
            signal.signal(each, handler)
        audio.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
