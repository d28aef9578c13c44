"""Cross entropy and log-probabilities of an output layer, without the scores of all rows in memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CHUNK = 2**18  # scores computed at once: 1 MB of float32 stays in a core's cache


def output_cross_entropy(layer: nn.Linear, x: Tensor, targets: Tensor) -> Tensor:
    """Return the mean of -ln softmax(layer(x))[target] in nats, a scalar; the products are in autocast's precision.

    It equals ``F.cross_entropy(layer(x), targets)``, which writes and reads (M, V) scores, log-probabilities and
    gradients in float32 several times: half of the time that the training of a language model of 4000 labels took. Here
    the scores of a few rows become their gradient while they are in the cache, and only that is kept. So the gradient
    cannot be differentiated again.

    Args:
        layer: output layer of V labels.
        x: its input, ``(M, H)``.
        targets: labels, ``(M,)`` int64.
    """
    device = x.device.type
    precision = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
    with torch.autocast(device, enabled=False):
        loss: Tensor = _OutputCrossEntropy.apply(
            x.to(precision), layer.weight.to(precision), layer.bias.to(precision), targets
        )
    return loss


@torch.no_grad()
def label_log_probs(layer: nn.Linear, x: Tensor, labels: Tensor) -> Tensor:
    """Return ln softmax(layer(x))[label], (M,) float32, of one label (M,) int64 each for x (M, H)."""
    parts = zip(*(values.split(max(1, CHUNK // layer.out_features)) for values in (x, labels[:, None])), strict=True)
    return torch.cat([layer(x).float().log_softmax(-1).gather(1, label)[:, 0] for x, label in parts])


class _OutputCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
        rows, labels = len(x), len(weight)
        exact = torch.promote_types(x.dtype, torch.float32)
        nats = torch.zeros((), dtype=torch.float64, device=x.device)
        training = any(ctx.needs_input_grad)
        gradient = x.new_empty(rows if training else 0, labels)  # d loss / d scores
        of_bias = torch.zeros(labels, dtype=exact, device=x.device)
        for start in range(0, rows, step := max(1, CHUNK // labels)):
            part = slice(start, start + step)
            target = targets[part, None]
            log_probs = F.linear(x[part], weight, bias).log_softmax(-1, dtype=exact)
            nats -= log_probs.gather(1, target).sum()
            if training:
                # (softmax - one-hot vector of the target) / rows
                probs = log_probs.exp_().scatter_add_(1, target, log_probs.new_full(target.shape, -1)).div_(rows)
                of_bias += probs.sum(0)
                gradient[part] = probs
        ctx.save_for_backward(x, weight, gradient, of_bias.to(x.dtype))
        return (nats / rows).to(exact)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, gradient, of_bias = ctx.saved_tensors
        scale = grad.to(x.dtype)
        return (gradient @ weight) * scale, (gradient.t() @ x) * scale, of_bias * scale, None
