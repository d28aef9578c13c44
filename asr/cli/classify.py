"""``asr classify FILES… --model MODEL``: which class each audio file is of, or which words are where in it."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asr.cli._inputs import end, find_inputs
from asr.errors import InputError

if TYPE_CHECKING:
    from asr.inference.classifier import Classifier


def classify(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="FILES...", help="Audio files, folders, quoted globs, or - for standard input."),
    ],
    model: Annotated[str, typer.Option(help="The directory of a classifier, or its training run.")],
    top: Annotated[int, typer.Option(min=1, help="The so many likeliest classes of each file.")] = 1,
    json_: Annotated[bool, typer.Option("--json", help="One JSON object a file.")] = False,
    detect: Annotated[bool, typer.Option("--detect", help="Find words, and their times, in long recordings.")] = False,
    window: Annotated[
        float | None,
        typer.Option(help="--detect: seconds of a window.", show_default="the training utterances' mean"),
    ] = None,
    hop: Annotated[
        float | None, typer.Option(help="--detect: seconds from window to window.", show_default="a quarter window")
    ] = None,
    threshold: Annotated[float, typer.Option(help="--detect: words less likely than that are left out.")] = 0.5,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 …")] = "cpu",
) -> None:
    """Tell which class audio files are of. One bad file does not stop the others."""
    from asr.audio import INPUT_EXTENSIONS
    from asr.inference import classifier

    names = find_inputs(inputs, INPUT_EXTENSIONS)
    sources: list[Any] = [io.BytesIO(sys.stdin.buffer.read()) if name == "-" else name for name in names]
    loaded = classifier.load(model, device=device)
    failed: dict[int, InputError] = {}
    if detect:
        results = detected(loaded, sources, window=window, hop=hop, threshold=threshold)
    else:
        results = loaded.classify_all(sources)
    for index, result in results:
        if isinstance(result, InputError):
            failed[index] = result
        elif detect:
            print_words(names[index], result, json_, alone=len(names) == 1)
        else:
            print_classes(names[index], result[:top], json_)
    end(failed, len(names))


def detected(loaded: Classifier, sources: list[Any], **options: Any) -> Iterator[tuple[int, Any]]:
    """(index, detections) of each source; (index, error) of one that cannot be read."""
    for index, source in enumerate(sources):
        found = loaded.detect(source, **options)  # refuses bad options, which are the same for all
        try:
            yield index, list(found)
        except InputError as error:
            yield index, error


def print_classes(name: str, ranking: list[tuple[str, float]], as_json: bool) -> None:
    """A line: the file, and a class and its probability, or several."""
    if as_json:
        classes = [{"class": label, "probability": round(probability, 4)} for label, probability in ranking]
        print(json.dumps({"file": name, "classes": classes}, ensure_ascii=False))
    else:
        print(name, *(f"{label}\t{probability:.4f}" for label, probability in ranking), sep="\t")


def print_words(name: str, words: list[Any], as_json: bool, alone: bool) -> None:
    """A line a word, its start, its end, the word and its probability, behind the file's name if there are others."""
    if as_json:
        found = [
            {"start": word.start, "end": word.end, "word": word.word, "probability": round(word.probability, 4)}
            for word in words
        ]
        print(json.dumps({"file": name, "words": found}, ensure_ascii=False))
        return
    for word in words:
        columns = [f"{word.start:.3f}", f"{word.end:.3f}", word.word, f"{word.probability:.4f}"]
        print(*([] if alone else [name]), *columns, sep="\t")
