"""``asr prepare NAME DIR``: a corpus as its publisher ships it → manifests to train and evaluate on."""

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
COLUMN = 10  # characters of a number in the table


def prepare(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"The corpus: {', '.join(CORPORA)}.")],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The folder it lies in.")],
    output: Annotated[Path | None, typer.Option(help="Folder for the manifests.", show_default="data/NAME")] = None,
    lexicon: Annotated[
        Path | None, typer.Option(help="CMUdict or Kaldi lexicon: adds phones where all words are in it.")
    ] = None,
    keep_stress: Annotated[bool, typer.Option("--keep-stress", help="Keep the lexicon's stress digits.")] = False,
    download: Annotated[
        bool, typer.Option("--download", help="First fetch the corpus from its publisher into DIR.")
    ] = False,
    dev_speakers: Annotated[
        str, typer.Option(metavar="A,B,…", help="Hold these speakers out as dev; all but test becomes train.")
    ] = "",
    splits: Annotated[str, typer.Option(metavar="A,B,…", help="Only these splits (--download: these archives).")] = "",
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="An option of the corpus (synthetic: seed=1)."),
    ] = None,
) -> None:
    """Make manifests (OUTPUT/<split>.jsonl[.gz]) of a corpus, and say what is in them."""
    from asr import corpora

    written = corpora.prepare(
        name,
        directory,
        output or Path("data") / name,
        lexicon=lexicon,
        keep_stress=keep_stress,
        download=download,
        dev_speakers=_listed(dev_speakers),
        splits=_listed(splits),
        options=dict(map(_option, option or [])),
    )
    width = max(len("split"), *(len(split.name) for split in written))
    columns = written[0].summary._fields
    typer.echo(" ".join([f"{'split':<{width}}", *(f"{name:>{COLUMN}}" for name in columns), " manifest"]))
    for split in written:
        sizes = (f"{size:>{COLUMN}{'.2f' if isinstance(size, float) else ''}}" for size in split.summary)
        state = "" if split.changed else "  (unchanged)"
        typer.echo(" ".join([f"{split.name:<{width}}", *sizes, f" {split.path}{state}"]))
    if lexicon is not None:
        _print_coverage(written)


def _print_coverage(written: list[Split]) -> None:
    for split in written:
        if (coverage := split.coverage) is None:
            continue
        line = f"{split.name}: {coverage.covered} of {coverage.utterances} utterances have phones"
        if coverage.unknown:
            most = ", ".join(f"{word} ({count})" for word, count in coverage.unknown.most_common(WORDS_SHOWN))
            line += f"; not in the lexicon: {len(coverage.unknown)} words, {coverage.unknown.total()} times; "
            line += f"most often {most}"
        typer.echo(line)


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _option(assignment: str) -> tuple[str, Any]:
    """``seed=1`` → ("seed", 1): the value is JSON, or else a string."""
    key, equals, value = assignment.partition("=")
    if not equals:
        raise InputError(f"--option {assignment!r}: expected KEY=VALUE")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value
