"""``asr prepare NAME DIR``: manifests of a corpus, from the folder that its publisher ships."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asr.cli._completion import corpora
from asr.cli._help import Command
from asr.corpora import CORPORA
from asr.errors import InputError
from asr.utils.escape import escape_surrogates

if TYPE_CHECKING:
    from asr.corpora import Split

WORDS_SHOWN = 10
CHARACTERS_SHOWN = 100
RARE = 10  # characters with fewer occurrences are listed apart; in short texts, those with fewer than 0.5 %
COLUMN = 10  # width of a column of numbers, in characters


class PrepareCommand(Command):
    """The command ``asr prepare``, whose help ends with that of the corpus which stands before ``--help``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep the name of the corpus for the help."""
        ctx.meta["corpus"] = next((argument for argument in args if argument in CORPORA), None)
        return super().parse_args(ctx, args)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write what the corpus expects, and its options; examples where none is named."""
        from asr.corpora import describe

        if name := ctx.meta.get("corpus"):
            formatter.write(f"\n{describe(name)}\n")
        else:
            super().format_epilog(ctx, formatter)


def prepare(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help=f"The corpus: {', '.join(CORPORA)}.", autocompletion=corpora)
    ],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the corpus.")],
    output: Annotated[Path | None, typer.Option(help="Folder for the manifests.", show_default="data/NAME")] = None,
    lexicon: Annotated[
        Path | None, typer.Option(help="CMUdict or Kaldi lexicon: adds phones to utterances whose words are all in it.")
    ] = None,
    keep_stress: Annotated[bool, typer.Option("--keep-stress", help="Keep the stress digits of vowels.")] = False,
    spell_numbers: Annotated[
        bool, typer.Option("--spell-numbers", help="Write numbers as English words: 1984 is nineteen eighty four.")
    ] = False,
    download: Annotated[
        bool, typer.Option("--download", help="First download the corpus from its publisher into DIR.")
    ] = False,
    dev_speakers: Annotated[
        str, typer.Option(metavar="A,B,…", help="Use these speakers as dev, and everything else but test as train.")
    ] = "",
    splits: Annotated[
        str, typer.Option(metavar="A,B,…", help="Only these splits (with --download: these archives).")
    ] = "",
    dev: Annotated[
        str, typer.Option(metavar="SHARE", help="Hold out this share for dev, as 10% (folder and classes).")
    ] = "",
    test: Annotated[
        str, typer.Option(metavar="SHARE", help="Hold out this share for test, as 10% (folder and classes).")
    ] = "",
    skip_bad: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Leave out up to N utterances that cannot be read (folder)."),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="An option of the corpus, e.g. seed=1 of synthetic."),
    ] = None,
) -> None:
    """Write the manifests of a corpus (OUTPUT/<split>.jsonl[.gz]), and print their sizes.

    What DIR must be like: asr prepare NAME --help. Your own recordings: asr prepare folder --help.
    """
    from asr import corpora
    from asr.text.normalization import describe_numbers

    if dev and dev_speakers:
        raise InputError("--dev and --dev-speakers both choose the dev split: give one of them")
    options = dict(map(_option, option or []))
    flags = {"dev": _share(dev), "test": _share(test), "skip_bad": skip_bad}
    options |= {name: value for name, value in flags.items() if value not in ("", None)}
    corpora.check_options(name, options)

    manifests = corpora.prepare(
        name,
        directory,
        output or Path("data") / name,
        lexicon=lexicon,
        keep_stress=keep_stress,
        spell=spell_numbers,
        download=download,
        dev_speakers=_names(dev_speakers),
        splits=_names(splits),
        options=options,
    )
    width = max(len("split"), *(len(split.name) for split in manifests))
    columns = manifests[0].summary._fields
    print(" ".join([f"{'split':<{width}}", *(f"{name:>{COLUMN}}" for name in columns), " manifest"]))
    for split in manifests:
        sizes = (f"{size:>{COLUMN}{'.2f' if isinstance(size, float) else ''}}" for size in split.summary)
        state = "" if split.changed else "  (unchanged)"
        print(" ".join([f"{split.name:<{width}}", *sizes, f" {split.path}{state}"]))
    if lexicon is not None:
        _print_coverage(manifests)
    _print_characters(manifests)
    if left := sum((split.numbers for split in manifests), Counter[str]()):
        typer.echo(describe_numbers(left))
    elif not spell_numbers and any(c.isdigit() for split in manifests for c in split.characters):
        typer.echo("the texts have digits: --spell-numbers writes numbers as English words")


def _print_coverage(manifests: list[Split]) -> None:
    for split in manifests:
        if (coverage := split.coverage) is None:
            continue
        line = f"{split.name}: {coverage.covered} of {coverage.utterances} utterances have phones"
        if coverage.unknown:
            frequent = ", ".join(f"{word} ({count})" for word, count in coverage.unknown.most_common(WORDS_SHOWN))
            line += f"; not in the lexicon: {len(coverage.unknown)} words, {coverage.unknown.total()} times; "
            line += f"most often {frequent}"
        print(line)


def _print_characters(manifests: list[Split]) -> None:
    """Print how often each character occurs in the texts of all splits, and where the rare ones are."""
    counts: Counter[str] = Counter()
    first: dict[str, str] = {}
    for split in manifests:
        for character, (count, utterance) in split.characters.items():
            counts[character] += count
            first.setdefault(character, utterance)
    if not counts:
        return
    limit = max(2, min(RARE, counts.total() // 200))
    common = [(c, count) for c, count in counts.most_common() if count >= limit]
    rare = [(c, count) for c, count in counts.most_common() if count < limit]
    listed = " ".join(f"{_visible(c)} {count}" for c, count in common[:CHARACTERS_SHOWN])
    more = f" and {len(common) - CHARACTERS_SHOWN} more" if len(common) > CHARACTERS_SHOWN else ""
    if listed:
        typer.echo(f"characters of the texts (case and punctuation as written): {listed}{more}")
    if rare:
        places = ", ".join(
            f"{_visible(c)} {count} (first in {escape_surrogates(first[c])})" for c, count in rare[:CHARACTERS_SHOWN]
        )
        more = f" and {len(rare) - CHARACTERS_SHOWN} more" if len(rare) > CHARACTERS_SHOWN else ""
        typer.echo(f"rare characters (fewer than {limit} times): {places}{more}")


def _visible(character: str) -> str:
    """Return a character as it is shown: a space, an invisible or a combining one by its code point."""
    if character == " ":
        return "space"
    hidden = not character.isprintable() or unicodedata.category(character)[0] in "MZC"
    return f"U+{ord(character):04X}" if hidden else character


def _share(value: str) -> str | float:
    """Return a share as a number: "10%" is 0.1; other texts stay, for the corpus to refuse."""
    try:
        return float(value.strip().removesuffix("%")) / 100 if value.strip().endswith("%") else float(value)
    except ValueError:
        return value


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
