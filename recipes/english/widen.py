"""Add units to the LSTM layer of a language model, which computes what it did before.

    python recipes/english/widen.py MODEL OUTPUT [--units 1024]

OUTPUT is a model directory to train on from (`init=`), with a larger `label_rnn.hidden_size`. The new units read what
the others read, with random weights; the weights by which the output layer and the old units read them are zero, until
training changes them. As "Net2Net" (Chen et al. 2016), without copies of units.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from asr.models import directory, store
from asr.tasks.language import LanguageTask


def main() -> None:
    """Write the wider model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL", type=Path, help="model directory of a language model with one layer")
    parser.add_argument("output", metavar="OUTPUT", type=Path, help="model directory to write")
    parser.add_argument("--units", metavar="N", type=int, default=1024, help="units (default: %(default)s)")
    options = parser.parse_args()
    config = directory.read_config(options.model)
    network = config["label_rnn"]
    units = network["hidden_size"]
    if network["cell"] != "lstm" or network["num_layers"] != 1 or network["layer_norm"]:
        parser.error(f"{options.model}: needs one LSTM layer without layer_norm")
    if options.units <= units:
        parser.error(f"--units {options.units}: use more than the {units} of {options.model}")
    narrow = store.load(options.model, LanguageTask)
    torch.manual_seed(1)
    groups = {"task": config["task"], "label_rnn": {**network, "hidden_size": options.units}}
    wide = store.make_task(groups, narrow.vocabularies)
    known = narrow.state_dict()
    with torch.no_grad():
        for name, weights in wide.named_parameters():
            old = known[name]
            if weights.shape == old.shape:
                weights.copy_(old)
            elif "layers" in name:  # rows of the gates i, f, g, o
                gates = weights.view(4, options.units, *weights.shape[1:])[:, :units]
                if "weight_hh" in name:
                    gates[:, :, units:] = 0
                    gates = gates[:, :, :units]
                gates.copy_(old.view(4, units, *old.shape[1:]))
            else:  # the output layer's
                weights[:, :units] = old
                weights[:, units:] = 0
    store.save(wide, options.output, groups)


if __name__ == "__main__":
    main()
