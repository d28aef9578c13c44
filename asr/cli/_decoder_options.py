"""Options of the commands that decode: what search, with what models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from asr.errors import InputError

Beam = Annotated[int | None, typer.Option(min=1, help="Prefix beam search of this width, instead of the best path.")]
NBest = Annotated[
    int | None, typer.Option(min=1, help="So many texts instead of one (implies --beam 100); with --format json.")
]
LanguageModel = Annotated[Path | None, typer.Option("--lm", help="ARPA file of words (implies --beam 100).")]
Lexicon = Annotated[
    Path | None, typer.Option(help="Pronouncing dictionary (CMUdict, Kaldi): words from a head of phones.")
]
Pronouncer = Annotated[
    Path | None, typer.Option(help="A seq2seq model (recipes/g2p) for words that the dictionary does not have.")
]
Head = Annotated[str | None, typer.Option(help="The head whose labels are decoded (default: the model's first).")]
HotWords = Annotated[
    str, typer.Option(metavar="A,B=2,…", help="Words to favour, and the natural log of how much (1.5).")
]
Decoder = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY=VALUE",
        help="More of the search: lm_weight, word_bonus, unknown_words …; type=greedy forgets the model's own.",
    ),
]

HOT = 1.5


def decoder_config(
    beam: int | None,
    lm: Path | None,
    lexicon: Path | None,
    hotwords: str,
    options: list[str] | None,
    nbest: int | None = None,
) -> dict[str, Any]:
    """Options of a decoder, from those of the command line; empty where nothing is said."""
    import yaml

    config: dict[str, Any] = {}
    if beam is not None:
        config["beam"] = beam
    if nbest is not None:
        config["nbest"] = nbest
    if lm is not None:
        config["lm"] = str(lm)
    if lexicon is not None:
        config["lexicon"] = str(lexicon)
    if hotwords:
        config["hotwords"] = dict(_hot(entry) for entry in hotwords.split(","))
    for option in options or []:
        key, equals, value = option.partition("=")
        if not equals:
            raise InputError(f"--decoder {option}: KEY=VALUE is wanted")
        config[key] = yaml.safe_load(value)
    return config


def _hot(entry: str) -> tuple[str, float]:
    word, _, boost = entry.strip().partition("=")
    try:
        return word, float(boost) if boost else HOT
    except ValueError:
        raise InputError(f"--hotwords {entry}: a number is wanted behind =") from None
