"""One training step, forward and backward, of a 3 x 250 bidirectional network with each recurrent cell.

    python benchmarks/cells.py [--quick] [--json FILE] [--threads 1]

The peer is the same network with the cell ``lstm``: torch's LSTM as a dense layer, which is oneDNN's on a CPU
(benchmarks/train_step.py compares it with packed sequences). All take turns in one process and flush denormals.
Target: ``peephole_lstm``, which torch lacks, takes at most 1.5 times as long, a ratio of 0.67. Further rows compare
cells with torch's own layers in the same stack of packed sequences: ``tanh`` with ``nn.RNN``, ``gru`` with ``nn.GRU``.
"""

from __future__ import annotations

from typing import Any

import torch
from _common import Report, arguments, medians
from torch import nn
from train_step import BATCHES, HIDDEN, INPUTS, LAYERS, Packed, step

from asr.modules.cells import CELLS
from asr.modules.rnn import RNN
from asr.utils.threads import flush_denormals

FRAMES = BATCHES["AN4, bucketed"]
TORCH = {"tanh": nn.RNN, "gru": nn.GRU, "gru_reset_after": nn.GRU}


def packed(layer: Any) -> Packed:
    """Return the peer of packed sequences with another of torch's layers."""
    network = Packed()
    network.lstm = layer(INPUTS, HIDDEN, LAYERS, bidirectional=True, batch_first=True)
    return network


def main() -> None:
    options = arguments(__doc__, threads=0)
    flush_denormals()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    lengths = torch.tensor(FRAMES[:4] if options.quick else FRAMES)
    x = torch.randn(len(lengths), int(lengths.max()), INPUTS)
    gradient = torch.randn(len(lengths), int(lengths.max()), 2 * HIDDEN)
    report = Report()
    networks = {cell: RNN(INPUTS, HIDDEN, LAYERS, cell=cell) for cell in CELLS}
    for precision in torch.float32, torch.bfloat16:
        kind = str(precision).removeprefix("torch.")

        def run(network: nn.Module, precision: torch.dtype = precision) -> Any:
            return lambda: step(network, x, lengths, gradient, precision)

        for cell, network in networks.items():
            if cell == "lstm":
                continue
            ours, theirs = medians(run(network), run(networks["lstm"]), repeats=3 if options.quick else 7)
            report.add(f"{cell}, {kind}", ours, theirs, "lstm", "s")
    for cell, layer in TORCH.items():
        network = packed(layer)
        ours, theirs = medians(
            lambda cell=cell: step(networks[cell], x, lengths, gradient, torch.float32),
            lambda network=network: step(network, x, lengths, gradient, torch.float32),
            repeats=3,
        )
        report.add(f"{cell}, float32", ours, theirs, f"packed nn.{layer.__name__}", "s")
    report.write(options.json)


if __name__ == "__main__":
    main()
