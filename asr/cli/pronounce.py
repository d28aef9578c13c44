"""``asr pronounce WORDS… --model MODEL``: pronunciations of words, or other outputs of a seq2seq model."""

from __future__ import annotations

from typing import Annotated

import typer

from asr.cli._inputs import collect, end
from asr.cli._model_options import Device, Ensemble, LabelBeam
from asr.cli._streams import print_json
from asr.utils.escape import to_json
from asr.utils.text_files import read_lines


def pronounce(
    words: Annotated[list[str], typer.Argument(metavar="WORDS...", help="Words, or - for lines of standard input.")],
    model: Ensemble,
    nbest: Annotated[int, typer.Option(min=1, help="Number of pronunciations per word.")] = 1,
    beam: LabelBeam = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON line per word, with scores (natural log).")
    ] = False,
    device: Device = "cpu",
) -> None:
    """Print pronunciations of words as lines of a dictionary: the word, a tab, its phones.

    With another seq2seq model, its output texts. One word that cannot be read does not stop the others.
    """
    from asr.models.directory import find

    for directory in model:
        find(directory)
    from asr.inference.pronouncer import pronounce_words

    texts = [line.strip() for line in read_lines("-") if line.strip()] if words == ["-"] else words
    first, *ensemble = model
    done, failed = collect(pronounce_words(texts, first, ensemble=ensemble, nbest=nbest, beam=beam, device=device))
    for index, outputs in sorted(done.items()):
        if json:
            rows = [{"text": best.text, "score": round(best.score, 4)} for best in outputs]
            print_json(to_json({"source": texts[index], "written": rows}))
        else:
            for best in outputs:
                print(f"{texts[index]}\t{best.text}")
    end(failed, len(texts), "words")
