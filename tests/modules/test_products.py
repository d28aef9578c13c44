"""Matrix products of recurrent layers: who computes them, and which implementation oneDNN takes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from asr.modules.cells import _products

SCRIPT = """
import torch
from asr.modules.cells import _products
from asr.modules.rnn import RNN

_products._is_mkl_faster = lambda: False  # as on CPUs that Intel did not make
for cell in ("peephole_lstm", "depth_gated_lstm"):
    network = RNN(20, 24, 2, cell=cell)
    network(torch.randn(4, 30, 20, requires_grad=True), torch.tensor([30, 20, 10, 5])).sum().backward()
"""


@pytest.mark.skipif(not _products._HAS_OPERATIONS, reason="this torch has no products of oneDNN")
def test_cells_do_not_take_the_reference_implementation() -> None:
    environment = {**os.environ, "ONEDNN_VERBOSE": "1", "OMP_NUM_THREADS": "2"}
    result = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True)
    products = [line for line in result.stdout.splitlines() if ",inner_product," in line]
    assert products, "the test sees no products"
    slow = [line for line in products if ",ref" in line]
    assert not slow, slow[:3]


@pytest.mark.parametrize("is_mkl", [False, True])
@pytest.mark.parametrize("steps", [1, 100])
def test_all_give_the_same_product(is_mkl: bool, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_products, "_is_mkl_faster", lambda: is_mkl)
    torch.manual_seed(0)
    weight, x = torch.randn(40, 12), torch.randn(5, 12)
    expected = x.double() @ weight.double().t()
    torch.testing.assert_close(
        _products.recurrent_product(weight, 5, steps)(x).double(), expected, rtol=1e-5, atol=1e-5
    )
    torch.testing.assert_close(_products.product(x, weight).double(), expected, rtol=1e-5, atol=1e-5)
