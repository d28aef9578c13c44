"""Average the weights of trained models of one network, in half precision.

    python recipes/english/average.py MODEL [MODEL ...] OUTPUT

Writes OUTPUT/weights.safetensors. The models must have been trained one from another (`init=`): the mean of networks
that were trained apart is none. Means and deviations of the features stay in single precision.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


def main() -> None:
    """Write the mean."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL", type=Path, help="model directory")
    parser.add_argument("output", metavar="OUTPUT", type=Path, help="model directory whose weights are replaced")
    options = parser.parse_args()
    states = [load_file(model / "weights.safetensors") for model in options.models]
    if any(state.keys() != states[0].keys() for state in states):
        parser.error("the models do not have the same weights: use models of one recipe")
    mean = {}
    for name, last in states[-1].items():
        value = last
        if last.is_floating_point():
            value = torch.stack([state[name].float() for state in states]).mean(0)
            value = value if name.startswith("features.") else value.half()
        mean[name] = value.contiguous()
    save_file(mean, options.output / "weights.safetensors")


if __name__ == "__main__":
    main()
