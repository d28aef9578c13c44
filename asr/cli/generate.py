"""``asr generate MODEL``: text that a language model writes."""

from __future__ import annotations

from typing import Annotated

import typer


def generate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The directory of a language model, or its run.")],
    prompt: Annotated[str, typer.Option(help="What the text begins with.")] = "",
    length: Annotated[int, typer.Option(min=1, help="Labels (characters, pieces) at most.")] = 500,
    temperature: Annotated[float, typer.Option(help="Below 1: more of what is likely; above: more of all.")] = 1.0,
    top_k: Annotated[int | None, typer.Option(help="Only the so many likeliest labels.")] = None,
    top_p: Annotated[float, typer.Option(help="Only the fewest labels that together are so likely.")] = 1.0,
    count: Annotated[int, typer.Option(min=1, help="So many texts, each from its prompt on.")] = 1,
    seed: Annotated[int | None, typer.Option(help="For the same text again.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 …")] = "cpu",
) -> None:
    """Write text, label by label, until the model ends it."""
    from asr.inference import generator

    writer = generator.load(model, device=device)
    options = generator.Sampling(temperature, top_k, top_p)
    for number in range(count):
        parts = writer.write(prompt, options, max_length=length, seed=None if seed is None else seed + number)
        typer.echo(prompt, nl=False)
        for part in parts:
            typer.echo(part, nl=False)
        typer.echo()
