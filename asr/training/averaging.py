"""Average the weights of a training's last epochs."""

from __future__ import annotations

from collections import deque
from typing import Any

import lightning as L
import torch
from torch import Tensor

KEY = "averaging"  # in a checkpoint


class AverageEpochs(L.Callback):
    """Validates and saves the mean of the weights at the ends of the last epochs; training goes on from the last ones.

    Lightning's own `WeightAveraging` keeps a running mean of all epochs or an exponential one, which begin with the
    weights of an untrained network. Buffers, as statistics of features, are the last epoch's.

    A checkpoint has the mean where others have the weights, and beside it what training goes on from. One that was
    written without this callback can be resumed with it, and the other way around (from the mean).

    Args:
        epochs: number of epochs; at first, of those that there are.
    """

    def __init__(self, epochs: int) -> None:
        self.ends: deque[dict[str, Tensor]] = deque(maxlen=epochs)  # weights at the ends of epochs, the last at the end

    def on_validation_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Put the mean in place of the weights at the end of an epoch."""
        self.ends.append({name: weight.detach().clone() for name, weight in module.named_parameters()})
        _load(module, self.mean())

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Restore the weights."""
        _load(module, self.ends[-1])

    def mean(self) -> dict[str, Tensor]:
        """Return the mean weights of the epochs that are kept."""
        return {name: torch.stack([end[name] for end in self.ends]).mean(0) for name in self.ends[-1]}

    def on_save_checkpoint(self, trainer: L.Trainer, module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Put the mean in place of the weights, if an epoch is over, and add the weights."""
        if self.ends:
            weights = dict(module.named_parameters())
            checkpoint[KEY] = {"weights": weights, "ends": list(self.ends)}
            checkpoint["state_dict"] = checkpoint["state_dict"] | self.mean()

    def on_load_checkpoint(self, trainer: L.Trainer, module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Restore the weights, in whose place Lightning has loaded the mean."""
        if KEY in checkpoint:
            self.ends.extend(_on(module, end) for end in checkpoint[KEY]["ends"])
            _load(module, checkpoint[KEY]["weights"])


def _load(module: torch.nn.Module, weights: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, weight in module.named_parameters():
            weight.copy_(weights[name])


def _on(module: torch.nn.Module, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return weights on the devices where the module has them."""
    return {name: weights[name].to(weight.device) for name, weight in module.named_parameters()}
