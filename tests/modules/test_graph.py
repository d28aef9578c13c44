"""Recurrent layers as operators of ONNX, run by onnxruntime, against the layers themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from asr.errors import InputError
from asr.modules.cells import CELLS
from asr.modules.graph import OPERATORS, RNNGraph
from asr.modules.rnn import RNN

LENGTHS = torch.tensor([9, 1, 6])


def exported(rnn: RNN, x: torch.Tensor, path: Path) -> torch.Tensor:
    """Return what onnxruntime computes."""
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    frames, batch = torch.export.Dim("frames", min=2), torch.export.Dim("batch", min=2)
    torch.onnx.export(
        RNNGraph(rnn).eval(),
        (x, LENGTHS),
        path,
        input_names=["x", "lengths"],
        dynamo=True,
        dynamic_shapes=({0: batch, 1: frames}, {0: batch}),
        verbose=False,
    )
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"x": x.numpy(), "lengths": LENGTHS.numpy()})
    return torch.from_numpy(y)


@pytest.mark.parametrize("cell", list(OPERATORS))
def test_equals_the_layers(cell: str, tmp_path: Path) -> None:
    number = list(OPERATORS).index(cell)
    options: dict[str, Any] = {"bidirectional": number % 3 != 2, "merge": ["concat", "sum", "max", "mean"][number % 4]}
    options |= {"residual": number % 3, "layer_norm": number % 3 == 1}
    torch.manual_seed(0)
    rnn = RNN(5, 6, 3, cell=cell, **options).eval()
    x = torch.randn(3, 9, 5)
    with torch.no_grad():
        expected = rnn(x, LENGTHS)
    torch.testing.assert_close(exported(rnn, x, tmp_path / "rnn.onnx"), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cell", sorted(set(CELLS) - set(OPERATORS)))
def test_cells_without_an_operator(cell: str) -> None:
    with pytest.raises(InputError, match=rf"cell {cell} has no operator in ONNX, as tanh, relu, lstm"):
        RNNGraph(RNN(5, 6, cell=cell))
