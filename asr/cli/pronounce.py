"""``asr pronounce WORDS… --model MODEL``: what a seq2seq model writes for words."""

from __future__ import annotations

from typing import Annotated

import typer

from asr.cli._inputs import collect, end
from asr.utils.text_files import read_lines


def pronounce(
    words: Annotated[list[str], typer.Argument(metavar="WORDS...", help="Words, or - for lines of standard input.")],
    model: Annotated[list[str], typer.Option(help="A model directory, or a run; several times: they write together.")],
    nbest: Annotated[int, typer.Option(min=1, help="So many for each word.")] = 1,
    beam: Annotated[int | None, typer.Option(min=1, help="Width of the search (default: the model's own).")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON line a word, with natural-log scores.")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 …")] = "cpu",
) -> None:
    """Write pronunciations of words, as a dictionary's lines: the word, a tab, its phones.

    (Of another seq2seq model: whatever that writes.) One that cannot be read does not stop the others.
    """
    from json import dumps

    from asr.inference.pronouncer import pronounce_words

    texts = [line.strip() for line in read_lines("-") if line.strip()] if words == ["-"] else words
    first, *others = model
    done, failed = collect(pronounce_words(texts, first, ensemble=others, nbest=nbest, beam=beam, device=device))
    for index, outputs in sorted(done.items()):
        if json:
            rows = [{"text": best.text, "score": round(best.score, 4)} for best in outputs]
            typer.echo(dumps({"source": texts[index], "written": rows}, ensure_ascii=False))
        else:
            for best in outputs:
                typer.echo(f"{texts[index]}\t{best.text}")
    end(failed, len(texts), "words")
