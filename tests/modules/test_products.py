"""Matrix products of recurrent layers: which implementation oneDNN takes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from asr.modules.cells import _products

SCRIPT = """
import torch
from asr.modules.rnn import RNN

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
