"""``asr caption IMAGES… --model MODEL``: what images show, in words."""

from __future__ import annotations

from collections import Counter
from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from asr.cli._inputs import end, find_inputs
from asr.errors import InputError


def caption(
    files: Annotated[list[str], typer.Argument(metavar="IMAGES...", help="Image files, folders and quoted globs.")],
    model: Annotated[list[str], typer.Option(help="A model directory, or a run; several times: they write together.")],
    nbest: Annotated[int, typer.Option(min=1, help="So many captions of each image.")] = 1,
    beam: Annotated[int | None, typer.Option(min=1, help="Width of the search (default: the model's own).")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON line an image, with natural-log scores.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a page with the images and their captions too.")] = None,
    attention: Annotated[
        Path | None, typer.Option(help="Folder for pictures of where the model looked for each word.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 …")] = "cpu",
) -> None:
    """Write captions of images. One bad file does not stop the others."""
    from asr.data.image_files import EXTENSIONS

    paths = find_inputs(files, EXTENSIONS)
    if attention is not None and (twice := [s for s, n in Counter(Path(p).stem for p in paths).items() if n > 1]):
        raise InputError(f"--attention: several images are called {twice[0]}; their pictures would be one file")
    from asr.inference import captioner
    from asr.output import caption_sheet

    loaded = captioner.load(*model, device=device)
    results = loaded.caption(paths, nbest=nbest, beam=beam, attention=attention is not None)
    entries: list[caption_sheet.Entry] = []
    failed: dict[int, InputError] = {}
    for index, found in results:
        path = paths[index]
        if isinstance(found, InputError):
            failed[index] = found
            continue
        rows = [{"text": one.text, "score": round(one.score, 4)} for one in found]
        if json:
            typer.echo(dumps({"image": path, "captions": rows}, ensure_ascii=False))
        else:
            for one in found:
                typer.echo(f"{path}\t{one.text}")
        entries.append(caption_sheet.Entry(path, found[0].text, [one.text for one in found[1:]]))
        if attention is not None and found[0].attention is not None:
            words = found[0].text.split()
            caption_sheet.write_attention(attention / f"{Path(path).stem}.png", path, words, found[0].attention)
    if html is not None and entries:
        caption_sheet.write_page(html, [("", entries)])
    end(failed, len(paths))
