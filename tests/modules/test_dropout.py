"""Dropout with shared random numbers on a CPU."""

from __future__ import annotations

import pytest
import torch

from asr.modules.dropout import Dropout


@pytest.mark.parametrize("p", [0.1, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_drops_a_part_and_keeps_the_expectation(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    y = Dropout(p)(torch.ones(1001, 999, dtype=dtype))
    assert y.dtype == dtype and y.shape == (1001, 999)
    dropped = round(256 * p) / 256
    assert (y == 0).double().mean().item() == pytest.approx(dropped, abs=3e-3)
    assert y.unique().tolist() == pytest.approx([0, 1 / (1 - dropped)], rel=4e-3)


def test_elements_are_independent() -> None:
    """Also those that share a draw: no byte of it, nor two neighbors, may be tied."""
    torch.manual_seed(2)
    kept = (Dropout(0.5)(torch.ones(200_000, 8)) > 0).float()
    assert kept.mean(0).numpy() == pytest.approx([0.5] * 8, abs=0.01)
    correlation = torch.corrcoef(kept.T) - torch.eye(8)
    assert correlation.abs().max() < 0.02


def test_gradient_is_the_mask() -> None:
    x = torch.ones(5, 7, requires_grad=True)
    torch.manual_seed(3)
    y = Dropout(0.4)(x)
    y.sum().backward()
    assert x.grad is not None and torch.equal(x.grad, y.detach())


def test_follows_the_seed_and_is_the_identity_in_evaluation() -> None:
    network, x = Dropout(0.3), torch.randn(4, 5)
    results = []
    for seed in 1, 1, 2:
        torch.manual_seed(seed)
        results.append(network(x))
    assert torch.equal(results[0], results[1]) and not torch.equal(results[0], results[2])
    assert network.eval()(x) is x
    assert Dropout(0.0)(x) is x
    assert torch.equal(Dropout(1.0)(x), torch.zeros(4, 5))


@pytest.mark.parametrize("p", [-0.1, 1.5, 2.0])
def test_a_number_outside_0_to_1_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match=r"dropout=.*: expected a number from 0 to 1"):
        Dropout(p)
