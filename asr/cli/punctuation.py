"""``asr punctuation BOOKS… --model MODEL``: have a recognizer write punctuation and capitals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from asr.cli._completion import models


def punctuation(
    texts: Annotated[
        list[Path],
        typer.Argument(metavar="BOOKS...", help="Texts with punctuation, blank lines between paragraphs; also .xz."),
    ],
    model: Annotated[
        str, typer.Option(help="Directory or training run of the recognizer, which is changed.", autocompletion=models)
    ],
    speech: Annotated[
        list[Path] | None,
        typer.Option(help="Manifest of speech with punctuated transcripts, whose pauses are learned from."),
    ] = None,
    held_out: Annotated[list[Path] | None, typer.Option(help="Text on which the result is scored.")] = None,
    numbers: Annotated[str | None, typer.Option(help="How `asr transcribe --digits` writes numbers: english.")] = None,
) -> None:
    """Train a model of punctuation and letter case, and store it in a recognizer's directory.

    `asr transcribe` then writes sentences, and the bare words with --plain. The language is that of the texts; the
    recognizer's words must be in small letters. Without --speech the pauses are those of the package's model.
    """
    from asr.cli._progress import progress_bar
    from asr.training.punctuation import train_punctuation

    figures = train_punctuation(
        texts, model, speech=speech or [], held_out=held_out or [], numbers=numbers, progress=progress_bar
    )
    print(f"trained on {figures.words} words, {figures.bytes / 1e6:.2f} MB; {model} now writes punctuation")
    if figures.prose is not None:
        print(f"\nheld-out text\n\n{figures.prose.table()}")
    if figures.speech is not None:
        without, with_pauses = figures.speech
        print(f"\nspeech, by the text alone\n\n{without.table()}\n\nwith pauses, fitted on it\n\n{with_pauses.table()}")
