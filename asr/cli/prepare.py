"""``asr prepare NAME DIR``: manifests of a corpus, from the folder that its publisher ships."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asr.corpora import CORPORA
from asr.errors import InputError

if TYPE_CHECKING:
    from asr.corpora import Split

WORDS_SHOWN = 10
COLUMN = 10  # width of a column of numbers, in characters


def prepare(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"The corpus: {', '.join(CORPORA)}.")],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the corpus.")],
    output: Annotated[Path | None, typer.Option(help="Folder for the manifests.", show_default="data/NAME")] = None,
    lexicon: Annotated[
        Path | None, typer.Option(help="CMUdict or Kaldi lexicon: adds phones to utterances whose words are all in it.")
    ] = None,
    keep_stress: Annotated[bool, typer.Option("--keep-stress", help="Keep the stress digits of vowels.")] = False,
    download: Annotated[
        bool, typer.Option("--download", help="First download the corpus from its publisher into DIR.")
    ] = False,
    dev_speakers: Annotated[
        str, typer.Option(metavar="A,B,…", help="Use these speakers as dev, and everything else but test as train.")
    ] = "",
    splits: Annotated[
        str, typer.Option(metavar="A,B,…", help="Only these splits (with --download: these archives).")
    ] = "",
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="An option of the corpus, e.g. seed=1 of synthetic."),
    ] = None,
) -> None:
    """Write the manifests of a corpus (OUTPUT/<split>.jsonl[.gz]), and print their sizes."""
    from asr import corpora

    manifests = corpora.prepare(
        name,
        directory,
        output or Path("data") / name,
        lexicon=lexicon,
        keep_stress=keep_stress,
        download=download,
        dev_speakers=_names(dev_speakers),
        splits=_names(splits),
        options=dict(map(_option, option or [])),
    )
    width = max(len("split"), *(len(split.name) for split in manifests))
    columns = manifests[0].summary._fields
    typer.echo(" ".join([f"{'split':<{width}}", *(f"{name:>{COLUMN}}" for name in columns), " manifest"]))
    for split in manifests:
        sizes = (f"{size:>{COLUMN}{'.2f' if isinstance(size, float) else ''}}" for size in split.summary)
        state = "" if split.changed else "  (unchanged)"
        typer.echo(" ".join([f"{split.name:<{width}}", *sizes, f" {split.path}{state}"]))
    if lexicon is not None:
        _print_coverage(manifests)


def _print_coverage(manifests: list[Split]) -> None:
    for split in manifests:
        if (coverage := split.coverage) is None:
            continue
        line = f"{split.name}: {coverage.covered} of {coverage.utterances} utterances have phones"
        if coverage.unknown:
            frequent = ", ".join(f"{word} ({count})" for word, count in coverage.unknown.most_common(WORDS_SHOWN))
            line += f"; not in the lexicon: {len(coverage.unknown)} words, {coverage.unknown.total()} times; "
            line += f"most often {frequent}"
        typer.echo(line)


def _names(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _option(assignment: str) -> tuple[str, Any]:
    """Split ``KEY=VALUE``; the value is read as JSON, or else kept as a string."""
    key, equals, value = assignment.partition("=")
    if not equals:
        raise InputError(f"--option {assignment!r}: expected KEY=VALUE")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value
