"""``asr lm train|score|prune``: n-gram language models of text."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from asr.errors import InputError

app = typer.Typer(help="Estimate, score and prune n-gram language models.", no_args_is_help=True)

TEXT = typer.Argument(
    metavar="TEXT...", help="Text, a sentence a line (also .gz, .xz, .bz2; - is standard input), or manifests."
)
MODEL = typer.Argument(metavar="MODEL", help="An ARPA file, plain or .gz.")
NORMALIZATION = typer.Option(help="What is done to text: english (as recipes' text heads do) or none.")
PROSE = typer.Option("--prose", help="The text is books: find the sentences, and write Mr. as Mister.")
CHARACTERS = typer.Option("--characters", help="A model of characters; the space between words is |.")


@app.command()
def train(
    text: Annotated[list[Path], TEXT],
    output: Annotated[Path, typer.Option(help="ARPA file to write; gzipped if it ends in .gz.")],
    order: Annotated[int, typer.Option(help="Longest n-gram, 1 to 6.")] = 3,
    words: Annotated[int | None, typer.Option(min=1, help="Know the so many commonest words only.")] = None,
    vocabulary: Annotated[
        Path | None, typer.Option(help="Know the words of this file only: one a line, or a pronouncing dictionary.")
    ] = None,
    cutoffs: Annotated[
        str,
        typer.Option(help="Leave out n-grams seen so often or less, by order: '0 0 1' for trigrams seen once."),
    ] = "0",
    prune: Annotated[float, typer.Option(min=0, help="Leave out n-grams as `asr lm prune` does.")] = 0.0,
    normalization: Annotated[str, NORMALIZATION] = "english",
    characters: Annotated[bool, CHARACTERS] = False,
    prose: Annotated[bool, PROSE] = False,
) -> None:
    """Estimate a model by interpolated modified Kneser-Ney smoothing."""
    from asr.lm import arpa
    from asr.lm.estimate import kneser_ney, read_text
    from asr.lm.prune import prune as prune_

    if not all(number.isdigit() for number in cutoffs.split()):
        raise InputError(f"--cutoffs {cutoffs!r}: whole numbers separated by blanks are wanted")
    if words is not None and vocabulary is not None:
        raise InputError("--words and --vocabulary both say which words to know: give one")
    known = known_words(vocabulary, "none" if characters else normalization) if vocabulary else []
    began = time.perf_counter()
    numbered = read_text(sentences(text, normalization, characters, prose), max_words=words, vocabulary=known)
    model = kneser_ney(numbered, order, [int(number) for number in cutoffs.split()])
    if prune:
        model = prune_(model, prune)
    arpa.write(model, output)
    seconds = time.perf_counter() - began
    sizes = ", ".join(f"{len(model.nodes(n))} {n}-grams" for n in range(1, model.order + 1))
    count = len(numbered.tokens) - 2 * (int(numbered.sentence[-1]) + 1)
    typer.echo(f"{count} words of text in {seconds:.1f} s; {sizes}: {output}")


@app.command()
def score(
    model: Annotated[Path, MODEL],
    text: Annotated[list[Path], TEXT],
    normalization: Annotated[str, NORMALIZATION] = "english",
    characters: Annotated[bool, CHARACTERS] = False,
    prose: Annotated[bool, PROSE] = False,
) -> None:
    """Print the perplexity of text, a line a file."""
    from asr.lm import arpa
    from asr.lm.estimate import perplexity

    loaded = arpa.read(model)
    for path in text:
        with_unknown, without, count, unknown = perplexity(loaded, sentences([path], normalization, characters, prose))
        typer.echo(
            f"{path}: perplexity {with_unknown:.2f}, {without:.2f} without the {unknown} unknown of {count} words "
            f"and ends of sentences ({100 * unknown / count:.2f} %)"
        )


@app.command()
def prune(
    model: Annotated[Path, MODEL],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="ARPA file to write; gzipped if it ends in .gz.")],
    threshold: Annotated[float, typer.Option(min=0, help="Share by which an n-gram must lower perplexity to stay.")],
) -> None:
    """Leave out the n-grams that a model hardly misses (entropy pruning, Stolcke 1998)."""
    from asr.lm import arpa
    from asr.lm.prune import prune as prune_

    before = arpa.read(model)
    after = prune_(before, threshold)
    arpa.write(after, output)
    sizes = [f"{len(before.nodes(n))} -> {len(after.nodes(n))}" for n in range(2, after.order + 1)]
    typer.echo(f"{', '.join(f'{n}-grams {size}' for n, size in enumerate(sizes, start=2))}: {output}")


def known_words(path: Path, normalization: str) -> list[str]:
    """The word that each line of a file begins with, normalised as text is; a dictionary's variants count once."""
    from asr.text.lexicon import headword
    from asr.text.normalization import TextNormalizer
    from asr.utils.text_files import read_lines

    apply = TextNormalizer.from_config(normalization).apply
    first = [line.split()[0] for line in read_lines(path) if line.strip() and not line.startswith(";;;")]
    found = (apply(headword(word)).split() for word in first)
    if not (known := list(dict.fromkeys(chain.from_iterable(found)))):
        raise InputError(f"{path}: there is no word in it")
    return known


def sentences(paths: list[Path], normalization: str, characters: bool, prose: bool) -> Iterator[list[str]]:
    """The words (or characters) of each line or sentence of text files, or utterance of manifests, that has any."""
    from asr.data.texts import read_texts
    from asr.lm.estimate import characters_of
    from asr.text import sentences as books
    from asr.text.normalization import TextNormalizer

    apply = TextNormalizer.from_config(normalization).apply
    for path in paths:
        for line in books.sentences(read_texts(path)) if prose else read_texts(path):
            if line := apply(line):
                yield characters_of(line) if characters else line.split()
