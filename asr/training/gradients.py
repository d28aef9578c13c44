"""Watch the gradients of a training: warn when they explode, or vanish on their way to the lowest layers."""

from __future__ import annotations

import logging
import math
import statistics
from collections import deque
from collections.abc import Mapping

import lightning as L
import torch
from torch import nn

from asr.modules.cells import Cell

log = logging.getLogger(__name__)

RECENT, MIN_STEPS = 200, 20  # steps that the median is taken over; with fewer there is no warning


class GradientNorms(L.Callback):
    """Logs the mean norm of the gradient of an epoch, ``gradient_norm``, and warns at most once an epoch of each fault.

    It explodes where its norm, before it is clipped, is infinite or ``factor`` times the median of recent steps. It
    vanishes where in most steps of an epoch that by the weights of one recurrent layer is ``factor`` times smaller than
    that of another one of the same stack (Pascanu et al. 2013, arXiv 1211.5063).

    Args:
        factor: above 1.
    """

    def __init__(self, factor: float) -> None:
        self.factor = factor
        self.recent: deque[float] = deque(maxlen=RECENT)
        self.by_layer: dict[str, list[float]] = {}  # norms of the steps of this epoch
        self.has_warned = False

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Begin a new epoch."""
        self.by_layer, self.has_warned = {}, False

    def on_before_optimizer_step(
        self, trainer: L.Trainer, module: L.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Measure the gradient, before it is clipped."""
        total, layers = gradient_norms(module)
        module.log("gradient_norm", total, on_step=False, on_epoch=True, batch_size=1)
        for name, norm in layers.items():
            self.by_layer.setdefault(name, []).append(norm)
        if trainer.is_global_zero and not self.has_warned and (warning := self.check_step(total)):
            self.has_warned = True
            log.warning("epoch %d, step %d: %s", trainer.current_epoch + 1, trainer.global_step + 1, warning)
        if math.isfinite(total):
            self.recent.append(total)

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Compare the layers."""
        medians = {name: statistics.median(norms) for name, norms in self.by_layer.items() if len(norms) >= MIN_STEPS}
        if trainer.is_global_zero and (warning := self.check_layers(medians)):
            log.warning("epoch %d: %s", trainer.current_epoch + 1, warning)

    def check_step(self, norm: float) -> str:
        """Return what is wrong with the norm of a step; empty if it does not explode."""
        if math.isfinite(norm) and len(self.recent) < MIN_STEPS:
            return ""
        median = statistics.median(self.recent) if self.recent else math.nan
        if math.isfinite(norm) and norm <= self.factor * median:
            return ""
        return (
            f"the gradient explodes: its norm is {norm:.3g}, where {median:.3g} is usual; lower optimizer.lr, or clip "
            "it (trainer.gradient_clip)"
        )

    def check_layers(self, norms: Mapping[str, float]) -> str:
        """Return between which layers the gradient vanishes, by their norms; empty if it does not."""
        stacks: dict[str, list[tuple[float, str]]] = {}
        for name, norm in norms.items():
            stacks.setdefault(name.rpartition(".")[0], []).append((norm, name))
        for layers in stacks.values():
            (least, low), (most, high) = min(layers), max(layers)
            if least * self.factor < most:
                return (
                    f"the gradient vanishes: that of {low} is {least:.3g}, that of {high} {most:.3g}; residual=true, "
                    "layer_norm=true, other first weights (init) or a cell with gates help"
                )
        return ""


def gradient_norms(network: nn.Module) -> tuple[float, dict[str, float]]:
    """Return the norm of the gradient by all weights, and that by those of each recurrent layer by its name."""
    gradients = [(name, weights.grad) for name, weights in network.named_parameters() if weights.grad is not None]
    if not gradients:
        return 0.0, {}
    cells = [name for name, inner in network.named_modules() if isinstance(inner, Cell)]
    norms = torch._foreach_norm([gradient for _, gradient in gradients])
    squares = torch.stack([norm.float() for norm in norms]).square().tolist()  # one transfer from the device
    layers: dict[str, float] = {}
    for (name, _), square in zip(gradients, squares, strict=True):
        if (layer := name.rpartition(".")[0]) in cells:
            layers[layer] = layers.get(layer, 0.0) + square
    total = math.sqrt(math.fsum(squares)) if all(map(math.isfinite, squares)) else math.inf
    return total, {name: math.sqrt(square) for name, square in layers.items()}
