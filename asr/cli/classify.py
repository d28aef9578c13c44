"""``asr classify FILES… --model MODEL``: the class of each audio file, or words detected in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from asr.cli._audio_options import Channel, Strict, Track, parse_channel
from asr.cli._completion import models
from asr.cli._inputs import end, find_inputs, open_inputs
from asr.cli._model_options import Device
from asr.cli._streams import print_json
from asr.errors import InputError
from asr.utils.escape import to_json

if TYPE_CHECKING:
    from asr.inference.classifier import Ranking
    from asr.inference.detection import Detection


def classify(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="FILES...", help="Audio files, folders, quoted globs, or - for standard input."),
    ],
    model: Annotated[
        str, typer.Option(help="Model directory of a classifier, or its training run.", autocompletion=models)
    ],
    top: Annotated[int, typer.Option(min=1, help="Number of classes to print.")] = 1,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON line per file.")] = False,
    detect: Annotated[
        bool, typer.Option("--detect", help="Detect words, with their times, in long recordings.")
    ] = False,
    window: Annotated[
        float | None,
        typer.Option(
            help="--detect: seconds of a window.", show_default="the mean duration of the training utterances"
        ),
    ] = None,
    hop: Annotated[
        float | None,
        typer.Option(help="--detect: seconds from one window to the next.", show_default="a quarter of a window"),
    ] = None,
    threshold: Annotated[float, typer.Option(help="--detect: probability from which on a word is detected.")] = 0.5,
    channel: Channel = "mix",
    track: Track = None,
    strict: Strict = False,
    device: Device = "cpu",
) -> None:
    """Classify audio files, or detect words in them. One file that cannot be read does not stop the others."""
    from asr.audio import INPUT_EXTENSIONS
    from asr.models.directory import find

    names = find_inputs(inputs, INPUT_EXTENSIONS)
    channel_number = parse_channel(channel)
    find(model)
    from asr.inference.classifier import classify_files, detect_words
    from asr.inference.inputs import Recording

    sources = [Recording(source, channel_number, track, strict) for source in open_inputs(names)]
    failed: dict[int, InputError] = {}
    if detect:
        detections = detect_words(sources, model, window=window, hop=hop, threshold=threshold, device=device)
        for index, words in detections:
            if isinstance(words, InputError):
                failed[index] = words
            else:
                print_words(names[index], words, json_, alone=len(names) == 1)
    else:
        for index, ranking in classify_files(sources, model, device=device):
            if isinstance(ranking, InputError):
                failed[index] = ranking
            else:
                print_classes(names[index], ranking[:top], json_)
    end(failed, len(names))


def print_classes(name: str, ranking: Ranking, as_json: bool) -> None:
    """Print a line with the file, and each class with its probability."""
    if as_json:
        classes = [{"class": label, "probability": round(probability, 4)} for label, probability in ranking]
        print_json(to_json({"file": name, "classes": classes}))
    else:
        print(name, *(f"{label}\t{probability:.4f}" for label, probability in ranking), sep="\t")


def print_words(name: str, words: list[Detection], as_json: bool, alone: bool) -> None:
    """Print a line per word: the file unless it is the only one, start, end, the word and its probability."""
    if as_json:
        rows = [
            {"start": word.start, "end": word.end, "word": word.word, "probability": round(word.probability, 4)}
            for word in words
        ]
        print_json(to_json({"file": name, "words": rows}))
        return
    for word in words:
        columns = [f"{word.start:.3f}", f"{word.end:.3f}", word.word, f"{word.probability:.4f}"]
        print(*([] if alone else [name]), *columns, sep="\t")
