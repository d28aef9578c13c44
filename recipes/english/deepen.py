"""Add a bidirectional LSTM layer to a trained recognizer, which computes what it did before.

    python recipes/english/deepen.py MODEL OUTPUT

OUTPUT is a model directory to train on from (`init=`), with `encoder.num_layers` one larger and `encoder.residual` the
number of layers before: the output of the new layer is added to its input. Its candidates (g) have zero weights, so
that its cells and outputs are zero; the gradient of these weights is not. As "Net2Net" (Chen et al. 2016), for layers
that are not the identity.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from asr.models import directory, store
from asr.tasks.ctc import CTCTask


def main() -> None:
    """Write the deeper model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL", type=Path, help="model directory with a BLSTM encoder")
    parser.add_argument("output", metavar="OUTPUT", type=Path, help="model directory to write")
    options = parser.parse_args()
    config = directory.read_config(options.model)
    encoder = config["encoder"]
    layers, hidden = encoder["num_layers"], encoder["hidden_size"]
    if encoder["cell"] != "lstm" or not encoder["bidirectional"] or encoder["residual"]:
        parser.error(f"{options.model}: needs a bidirectional encoder of LSTM cells without residuals")
    shallow = store.load(options.model, CTCTask)
    torch.manual_seed(1)
    groups = {group: config[group] for group in ("task", *CTCTask.groups, "augmentation")}
    groups["encoder"] = {**encoder, "num_layers": layers + 1, "residual": layers}
    deep = store.make_task(groups, shallow.vocabularies)
    deep.load_state_dict(shallow.state_dict(), strict=False)
    with torch.no_grad():
        for name, weights in deep.named_parameters():
            if f"wards.{layers}." in name:
                weights[2 * hidden : 3 * hidden] = 0  # rows of the candidates: i, f, g, o
    store.save(deep, options.output, groups)


if __name__ == "__main__":
    main()
