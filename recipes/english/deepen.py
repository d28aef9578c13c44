"""Add bidirectional LSTM layers to a trained recognizer, which computes what it did before.

    python recipes/english/deepen.py MODEL OUTPUT [--layers 2]

OUTPUT is a model directory to train on from (`init=`), with a larger `encoder.num_layers`; the output of each new layer
is added to its input (`encoder.residual`). Its candidates (g) have zero weights, so that cells and outputs are zero;
the gradient of these weights is not. As "Net2Net" (Chen et al. 2016), for layers that are not the identity.
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
    parser.add_argument("--layers", metavar="N", type=int, default=1, help="layers to add (default: %(default)s)")
    options = parser.parse_args()
    config = directory.read_config(options.model)
    encoder = config["encoder"]
    layers, hidden = encoder["num_layers"], encoder["hidden_size"]
    if encoder["cell"] != "lstm" or not encoder["bidirectional"]:
        parser.error(f"{options.model}: needs a bidirectional encoder of LSTM cells")
    if options.layers < 1:
        parser.error(f"--layers {options.layers}: use at least 1")
    if encoder["residual"] > layers:
        parser.error(f"{options.model}: encoder.residual={encoder['residual']}: must not be above the {layers} layers")
    shallow = store.load(options.model, CTCTask)
    torch.manual_seed(1)
    groups = {group: config[group] for group in ("task", *CTCTask.groups, "augmentation")}
    groups["encoder"] = {**encoder, "num_layers": layers + options.layers, "residual": encoder["residual"] or layers}
    deep = store.make_task(groups, shallow.vocabularies)
    known = shallow.state_dict()
    deep.load_state_dict(known, strict=False)
    with torch.no_grad():
        for name, weights in deep.named_parameters():
            if name not in known and "wards." in name:  # of the new layers' LSTMs
                weights[2 * hidden : 3 * hidden] = 0  # rows of the candidates: i, f, g, o
    store.save(deep, options.output, groups)


if __name__ == "__main__":
    main()
