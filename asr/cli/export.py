"""``asr export MODEL``: a model for other runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from asr.cli._model_options import ModelArgument


def export(
    model: ModelArgument,
    output: Annotated[Path, typer.Option(help="The directory to write: model.onnx beside the model's other files.")],
    format: Annotated[Literal["onnx"], typer.Option(help="Format of the network.")] = "onnx",
    int8: Annotated[
        bool, typer.Option("--int8", help="Weights of the recurrent layers in 8 bits: a quarter of the size.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an exported model that is there.")] = False,
) -> None:
    """Export a recognizer for onnxruntime, and check it against torch on random recordings.

    The network reads waveforms: features are part of it. The other commands take the exported directory as --model.
    """
    from asr.models.directory import find

    find(model)
    from asr.models.onnx_export import export_model

    result = export_model(model, output, int8=int8, overwrite=overwrite)
    print(
        f"{output}: model.onnx has {result.bytes / 1e6:.1f} MB; its log-probabilities differ from torch's by up to "
        f"{result.largest:.2g} nats, {result.mean:.2g} on average"
    )
