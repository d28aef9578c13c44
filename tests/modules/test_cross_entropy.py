"""The cross entropy of an output layer against torch's, and its gradient against numerical ones."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asr.modules import cross_entropy
from asr.modules.cross_entropy import label_log_probs, output_cross_entropy

ROWS, SIZE, LABELS = 7, 5, 6


@pytest.fixture(params=[1, 3, ROWS], ids="{} rows at once".format, autouse=True)
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_entropy, "CHUNK", request.param * LABELS)


def problem(dtype: torch.dtype = torch.float32, spread: float = 1.0) -> tuple[nn.Linear, Tensor, Tensor]:
    torch.manual_seed(0)
    layer = nn.Linear(SIZE, LABELS).to(dtype)
    return layer, (spread * torch.randn(ROWS, SIZE, dtype=dtype)).requires_grad_(), torch.randint(LABELS, (ROWS,))


def gradients(loss: Tensor, layer: nn.Linear, x: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(3 * loss, (x, layer.weight, layer.bias))


@pytest.mark.parametrize("spread", [1.0, 1000.0])
def test_equals_torch(spread: float) -> None:
    layer, x, targets = problem(spread=spread)
    expected, found = F.cross_entropy(layer(x), targets), output_cross_entropy(layer, x, targets)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradients(found, layer, x), gradients(expected, layer, x))


def test_numerical_gradients() -> None:
    layer, x, targets = problem(torch.float64)
    weight, bias = layer.weight.detach().requires_grad_(), layer.bias.detach().requires_grad_()

    def loss(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        layer = nn.Linear(SIZE, LABELS)
        del layer.weight, layer.bias
        layer.weight, layer.bias = weight, bias  # type: ignore[assignment]
        return output_cross_entropy(layer, x, targets)

    assert torch.autograd.gradcheck(loss, (x, weight, bias))


def test_bfloat16_by_autocast() -> None:
    layer, x, targets = problem()
    with torch.autocast("cpu", torch.bfloat16):
        expected, found = F.cross_entropy(layer(x), targets), output_cross_entropy(layer, x, targets)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=0)
    for ours, theirs in zip(gradients(found, layer, x), gradients(expected, layer, x), strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, theirs, rtol=0.03, atol=0.01)


def test_without_gradients() -> None:
    layer, x, targets = problem()
    expected = F.cross_entropy(layer(x), targets)
    with torch.inference_mode():
        torch.testing.assert_close(output_cross_entropy(layer, x, targets), expected)
        torch.testing.assert_close(-label_log_probs(layer, x, targets).mean(), expected)
