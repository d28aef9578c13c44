"""Noise on weights."""

from __future__ import annotations

import torch
from torch import nn

from asr.modules.weight_noise import WeightNoise


def test_the_gradient_is_that_of_noisy_weights_and_the_weights_stay() -> None:
    torch.manual_seed(0)
    network = nn.Linear(200, 300)
    clean = [p.detach().clone() for p in network.parameters()]
    noise = WeightNoise(network.parameters(), 0.075)
    noise.add()
    noise.add()  # of an accumulated batch, say: not twice
    drawn = torch.cat([(p.detach() - c).flatten() for p, c in zip(network.parameters(), clean, strict=True)])
    assert abs(drawn.std().item() - 0.075) < 0.001
    assert abs(drawn.mean().item()) < 0.001
    network(torch.ones(1, 200)).square().sum().backward()
    noisy = network.weight.detach().clone()
    wanted = 2 * (noisy.sum(1) + network.bias.detach())
    noise.remove()
    noise.remove()
    torch.testing.assert_close(network.bias.grad, wanted)
    assert all(torch.equal(p, c) for p, c in zip(network.parameters(), clean, strict=True))


def test_no_noise_draws_no_random_numbers() -> None:
    network = nn.Linear(2, 2)
    before = torch.random.get_rng_state()
    noise = WeightNoise(network.parameters(), 0.0)
    noise.add()
    noise.remove()
    assert torch.equal(torch.random.get_rng_state(), before)
