"""``asr lm train|score|prune|mix|convert|lexicon``: n-gram language models of text."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from asr.cli._help import Command, Commands
from asr.errors import InputError

app = typer.Typer(
    cls=Commands, help="Estimate, score, prune, mix and convert n-gram language models.", no_args_is_help=True
)

Text = Annotated[
    list[Path],
    typer.Argument(
        metavar="TEXT...", help="Text files, a sentence a line (also compressed; - is standard input), or manifests."
    ),
]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="An ARPA file, plain or compressed, or a binary file.")]
OUTPUT_HELP = "File to write: binary if its name ends in .ngram, else ARPA; compressed if it ends in .gz, .xz or .bz2."
OutputOption = Annotated[Path, typer.Option(help=OUTPUT_HELP)]
OutputArgument = Annotated[Path, typer.Argument(metavar="OUTPUT", help=OUTPUT_HELP)]
Normalization = Annotated[
    str, typer.Option(help="Normalization of the text: english (as in the recipes' text heads) or none.")
]
Prose = Annotated[
    bool, typer.Option("--prose", help="The text is books: split it into sentences, and write Mr. as Mister.")
]
Spell = Annotated[
    bool, typer.Option("--spell-numbers", help="Write numbers as English words: 1984 is nineteen eighty four.")
]
Characters = Annotated[bool, typer.Option("--characters", help="A model of characters; the space between words is |.")]
Threshold = Annotated[float, typer.Option(min=0, help="Threshold of pruning, as in `asr lm prune`.")]


@app.command(cls=Command)
def train(
    text: Text,
    output: OutputOption,
    order: Annotated[int, typer.Option(help="Length of the longest n-grams, 1 to 6.")] = 3,
    words: Annotated[int | None, typer.Option(min=1, help="Keep only the N most frequent words.")] = None,
    vocabulary: Annotated[
        Path | None, typer.Option(help="Keep only the words of this file: one a line, or a pronouncing dictionary.")
    ] = None,
    cutoffs: Annotated[
        str,
        typer.Option(help="Leave out n-grams with this count or less, by order: '0 0 1' for trigrams seen once."),
    ] = "0",
    prune: Threshold = 0.0,
    normalization: Normalization = "english",
    characters: Characters = False,
    prose: Prose = False,
    spell_numbers: Spell = False,
) -> None:
    """Estimate a model by interpolated modified Kneser-Ney smoothing."""
    from asr.training.ngram import train_ngram

    if not all(number.isdigit() for number in cutoffs.split()):
        raise InputError(f"--cutoffs {cutoffs!r}: expected whole numbers separated by spaces")
    began = time.perf_counter()
    size = train_ngram(
        text,
        output,
        order=order,
        max_words=words,
        vocabulary=vocabulary,
        cutoffs=[int(number) for number in cutoffs.split()],
        threshold=prune,
        normalization=normalization,
        characters=characters,
        prose=prose,
        spell=spell_numbers,
    )
    seconds = time.perf_counter() - began
    sizes = ", ".join(f"{count} {n}-grams" for n, count in enumerate(size.ngrams, start=1))
    print(f"{size.words} words of text in {seconds:.1f} s; {sizes}: {output}")


@app.command(cls=Command)
def score(
    model: Model,
    text: Text,
    normalization: Normalization = "english",
    characters: Characters = False,
    prose: Prose = False,
    spell_numbers: Spell = False,
) -> None:
    """Print the perplexity of text, a line a file."""
    from asr.evaluation.ngram import score_ngram

    scores = score_ngram(
        model, text, normalization=normalization, characters=characters, prose=prose, spell=spell_numbers
    )
    for score in scores:
        print(
            f"{score.path}: perplexity {score.perplexity:.2f}, {score.perplexity_known:.2f} without the "
            f"{score.unknown} unknown of {score.words} words and ends of sentences "
            f"({100 * score.unknown / score.words:.2f} %)"
        )


@app.command(cls=Command)
def prune(
    model: Model,
    output: OutputArgument,
    threshold: Annotated[
        float, typer.Option(min=0, help="Leave out n-grams that lower the perplexity by less than this fraction.")
    ],
    vocabulary: Annotated[
        Path | None,
        typer.Option(
            help="Keep only the words of this file, a word list or a pronouncing dictionary, as they are spelled there."
        ),
    ] = None,
) -> None:
    """Leave out the n-grams that lower the perplexity least (entropy pruning, Stolcke 1998)."""
    from asr.training.ngram import prune_ngram

    before, after = prune_ngram(model, output, threshold, vocabulary)
    pairs = zip(before[1:], after[1:], strict=False)  # pruning may leave no n-grams of the highest orders
    sizes = ", ".join(f"{n}-grams {old} -> {new}" for n, (old, new) in enumerate(pairs, start=2))
    print(f"{sizes}: {output}")


@app.command(cls=Command)
def mix(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL...", help="Two models or more, ARPA or binary files.")],
    output: OutputOption,
    dev: Annotated[
        list[Path] | None,
        typer.Option(help="Text or manifest: fit the weights on it. Several: the option several times."),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Weights of the models instead: '0.8 0.2'. They are divided by their sum.")
    ] = None,
    prune: Threshold = 0.0,
    normalization: Normalization = "english",
    characters: Characters = False,
    prose: Prose = False,
    spell_numbers: Spell = False,
) -> None:
    """Interpolate models linearly, and merge them into one.

    It has the n-grams and words of all models. The weights are those of the lowest perplexity of the dev text.
    """
    from asr.training.ngram import mix_ngrams

    if len(models) < 2:
        raise InputError("give two models or more")
    try:
        numbers = [float(number) for number in weights.split()] if weights is not None else None
    except ValueError:
        raise InputError(f"--weights {weights!r}: expected numbers separated by spaces") from None
    mixed = mix_ngrams(
        models,
        output,
        dev=dev or [],
        weights=numbers,
        threshold=prune,
        normalization=normalization,
        characters=characters,
        prose=prose,
        spell=spell_numbers,
    )
    perplexities = [f", perplexity {value:.2f}" for value in mixed.perplexities] or [""] * (len(models) + 1)
    for model, weight, perplexity in zip(models, mixed.weights, perplexities, strict=False):
        print(f"{weight:.4f} {model}{perplexity}")
    sizes = ", ".join(f"{count} {n}-grams" for n, count in enumerate(mixed.ngrams, start=1))
    print(f"{sizes}{perplexities[-1]}: {output}")


@app.command(cls=Command)
def convert(
    model: Model,
    output: OutputArgument,
) -> None:
    """Write a model as a binary file, or as an ARPA file.

    A binary file takes 4 to 6 bytes an n-gram and is ready at once. Its probabilities and back-off weights are rounded
    to 256 values for each order, those of single words excepted.
    """
    from asr.training.ngram import convert_ngram

    sizes = ", ".join(f"{count} {n}-grams" for n, count in enumerate(convert_ngram(model, output), start=1))
    print(f"{sizes}, {output.stat().st_size} bytes: {output}")


@app.command()
def lexicon(
    dictionary: Annotated[
        Path, typer.Argument(metavar="DICTIONARY", help="Pronouncing dictionary, as CMUdict or Kaldi's.")
    ],
    model: Model,
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="File to write.")],
) -> None:
    """Compile the pronunciations of a model's words, so that decoding starts at once.

    The file goes with this model: --lm MODEL --lexicon OUTPUT.
    """
    from asr.inference.decoders.factory import compile_lexicon

    known, words = compile_lexicon(dictionary, model, output)
    print(f"{known} of {words} words, {output.stat().st_size} bytes: {output}")
