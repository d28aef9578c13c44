"""``asr caption IMAGES… --model MODEL``: captions of images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from asr.cli._inputs import end, find_inputs
from asr.cli._model_options import Device, Ensemble, LabelBeam
from asr.cli._streams import print_json
from asr.errors import InputError
from asr.utils.escape import to_json


def caption(
    files: Annotated[list[str], typer.Argument(metavar="IMAGES...", help="Image files, folders and quoted globs.")],
    model: Ensemble,
    nbest: Annotated[int, typer.Option(min=1, help="Number of captions per image.")] = 1,
    beam: LabelBeam = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON line per image, with scores (natural log).")
    ] = False,
    html: Annotated[Path | None, typer.Option(help="Also write a page with the images and their captions.")] = None,
    attention: Annotated[
        Path | None, typer.Option(help="Folder for pictures of the attention for each word of a caption.")
    ] = None,
    device: Device = "cpu",
) -> None:
    """Write captions of images. One file that cannot be read does not stop the others."""
    from asr.models.directory import find

    for directory in model:
        find(directory)
    from asr.data.image_files import EXTENSIONS

    paths = find_inputs(files, EXTENSIONS)
    from asr.inference.captioner import caption_images

    first, *ensemble = model
    results = caption_images(
        paths,
        first,
        ensemble=ensemble,
        nbest=nbest,
        beam=beam,
        html=html,
        attention_dir=attention,
        device=device,
    )
    failed: dict[int, InputError] = {}
    for index, result in results:
        if isinstance(result, InputError):
            failed[index] = result
        elif json:
            rows = [{"text": one.text, "score": round(one.score, 4)} for one in result]
            print_json(to_json({"image": paths[index], "captions": rows}))
        else:
            for one in result:
                print(f"{paths[index]}\t{one.text}")
    end(failed, len(paths))
