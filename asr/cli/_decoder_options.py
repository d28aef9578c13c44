"""Options of the commands that decode: the search, the models that it uses, and how its words are written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from asr.errors import InputError

Beam = Annotated[int | None, typer.Option(min=1, help="Beam width; decodes with prefix beam search.")]
NBest = Annotated[
    int | None, typer.Option(min=1, help="Number of texts per file (implies beam search); needs --format json.")
]
LanguageModel = Annotated[
    Path | None, typer.Option("--lm", help="N-gram model of words, an ARPA or binary file (implies beam search).")
]
Lexicon = Annotated[
    Path | None, typer.Option(help="Pronunciation dictionary (CMUdict or Kaldi), for words from a head of phones.")
]
Pronouncer = Annotated[
    Path | None, typer.Option(help="Seq2seq model (recipes/g2p) that pronounces words that the dictionary lacks.")
]
Head = Annotated[str | None, typer.Option(help="Head whose labels are decoded.", show_default="the model's first")]
HotWords = Annotated[
    str,
    typer.Option(
        metavar="A,B C=2,…|FILE",
        help="Words or phrases to favor, with the score added for each (natural log; default 1.5), or a file of them, "
        "one a line. Implies beam search.",
    ),
]
Decoder = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY=VALUE",
        help="Any option of the decoder: lm_weight, word_bonus, unknown_words …. Those that only the beam search has "
        "imply it; type=greedy or type=beam chooses, and ignores the decoder options of the model directory.",
    ),
]

Plain = Annotated[
    bool, typer.Option("--plain", help="Bare words, without the punctuation and capitals that the model may add.")
]
Digits = Annotated[bool, typer.Option("--digits", help="Write numbers with digits: twenty three is 23.")]


def decoder_config(
    beam: int | None,
    lm: Path | None,
    lexicon: Path | None,
    hotwords: str,
    options: list[str] | None,
    nbest: int | None = None,
) -> dict[str, Any]:
    """Collect the decoder options that are given on the command line.

    Args:
        beam: --beam.
        lm: --lm.
        lexicon: --lexicon.
        hotwords: --hotwords.
        options: --decoder, each KEY=VALUE.
        nbest: --nbest.

    Raises:
        InputError: an option that is not KEY=VALUE, or what `hot_words` refuses.
    """
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
        config["hotwords"] = hot_words(hotwords)
    for option in options or []:
        key, equals, value = option.partition("=")
        if not equals:
            raise InputError(f"--decoder {option}: use KEY=VALUE")
        try:
            config[key] = yaml.safe_load(value)
        except yaml.YAMLError:  # a text, such as a path, with characters that mean something in YAML
            config[key] = value
    return config


def hot_words(value: str) -> dict[str, float]:
    """Return the words and phrases of --hotwords, with the score that each adds.

    Raises:
        InputError: what `parse_hotwords` refuses, or the name of a file that does not exist.
    """
    from asr.inference.decoders.hotwords import parse_hotwords

    path = Path(value)
    try:
        is_file = path.is_file() or path.is_fifo()
    except (OSError, ValueError):  # too long for a name
        is_file = False
    if is_file:
        return parse_hotwords(path)
    if "=" not in value and "," not in value and ("/" in value or path.suffix in (".txt", ".tsv", ".csv", ".list")):
        raise InputError(f"--hotwords {value}: no such file")
    return parse_hotwords(value, "--hotwords")
