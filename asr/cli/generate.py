"""``asr generate MODEL``: text from a language model."""

from __future__ import annotations

from typing import Annotated

import typer

from asr.cli._completion import models
from asr.cli._model_options import Device


def generate(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="Model directory of a language model, or its run.", autocompletion=models),
    ],
    prompt: Annotated[str, typer.Option(help="Beginning of the text.")] = "",
    length: Annotated[int, typer.Option(min=1, help="Maximum number of labels (characters or pieces).")] = 500,
    temperature: Annotated[
        float, typer.Option(help="Sampling temperature: below 1 favors probable labels, above 1 flattens.")
    ] = 1.0,
    top_k: Annotated[int | None, typer.Option(help="Top-k sampling: only the K most probable labels.")] = None,
    top_p: Annotated[
        float, typer.Option(help="Nucleus sampling: the smallest set of labels with total probability P.")
    ] = 1.0,
    count: Annotated[int, typer.Option(min=1, help="Number of texts.")] = 1,
    seed: Annotated[int | None, typer.Option(help="Random seed; the same one gives the same text.")] = None,
    device: Device = "cpu",
) -> None:
    """Generate text label by label, until the model ends it."""
    from asr.models.directory import find

    find(model)
    from asr.decoding.label.sampling import Sampling
    from asr.inference.generator import generate_text

    sampling = Sampling(temperature, top_k, top_p)
    texts = generate_text(model, prompt, sampling=sampling, max_length=length, count=count, seed=seed, device=device)
    for parts in texts:
        print(prompt, end="")
        for part in parts:
            print(part, end="", flush=True)
        print()
