"""Two networks at the same time against the same two one after the other."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from asr.modules.parallel import side_by_side
from asr.utils.threads import torch_threads


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    with torch_threads(2):
        yield
        assert torch.get_num_threads() == 2


@pytest.fixture
def networks() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    return nn.Linear(3, 4), nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))


def both(networks: tuple[nn.Module, nn.Module], x: Tensor, threads: int) -> list[Tensor]:
    """Outputs, and the gradients of a sum of them by x (if it wants one) and by all weights that want one."""
    with torch_threads(threads):
        y, z = side_by_side(lambda number, x: networks[number](x), networks, x)
        wanted = [p for p in (x, *networks[0].parameters(), *networks[1].parameters()) if p.requires_grad]
        loss = y.float().square().sum() + 3 * z.float().cos().sum()
        return [y, z, *(torch.autograd.grad(loss, wanted) if wanted else ())]


@pytest.mark.parametrize("by_x", [True, False])
@pytest.mark.parametrize("frozen", [(), (0,), (1,), (0, 1)])
@pytest.mark.parametrize("cast", [True, False])
def test_equals_one_after_the_other(
    networks: tuple[nn.Module, nn.Module], by_x: bool, frozen: tuple[int, ...], cast: bool
) -> None:
    for number in frozen:
        networks[number].requires_grad_(False)
    x = torch.randn(7, 3, requires_grad=by_x)
    with torch.autocast("cpu", torch.bfloat16, enabled=cast):
        alone, together = both(networks, x, 1), both(networks, x, 2)
    assert together[0].dtype == (torch.bfloat16 if cast else torch.float32)
    rounding = 1e-2 if cast else 1e-6  # gradients by x of the two are summed in bfloat16, or in float32
    torch.testing.assert_close(together, alone, rtol=rounding, atol=rounding)


def test_one_network_twice_within_one_autocast(networks: tuple[nn.Module, nn.Module]) -> None:
    x = torch.randn(7, 3, requires_grad=True)

    def run(number: int, x: Tensor) -> Tensor:
        return networks[number](x)

    with torch.autocast("cpu", torch.bfloat16):
        outputs = side_by_side(run, networks, x) + side_by_side(run, networks, 2 * x)
    sum(y.float().sum() for y in outputs).backward()  # type: ignore[union-attr]
    assert x.grad is not None and x.grad.abs().sum() > 0


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients(networks: tuple[nn.Module, nn.Module], mode: type) -> None:
    x = torch.randn(7, 3)
    with mode():
        y, z = side_by_side(lambda number, x: networks[number](x), networks, x)
        assert torch.equal(y, networks[0](x)) and torch.equal(z, networks[1](x))
    assert not y.requires_grad and not z.requires_grad
    assert y.is_inference() == z.is_inference() == (mode is torch.inference_mode)


def test_each_half_has_a_thread_of_its_own(networks: tuple[nn.Module, nn.Module]) -> None:
    met = threading.Barrier(2, timeout=20)  # which one thread alone would never pass
    threads: dict[int, tuple[int, int]] = {}

    def run(number: int, x: Tensor) -> Tensor:
        met.wait()
        threads[number] = torch.get_num_threads(), threading.get_ident()
        return networks[number](x)

    side_by_side(run, networks, torch.randn(7, 3))
    assert [count for count, _ in threads.values()] == [1, 1]
    assert threads[0][1] == threading.get_ident() != threads[1][1]


@pytest.mark.parametrize("faulty", [0, 1])
@pytest.mark.parametrize("gradients", [True, False])
def test_an_error_of_either_half_is_raised(networks: tuple[nn.Module, nn.Module], faulty: int, gradients: bool) -> None:
    def run(number: int, x: Tensor) -> Tensor:
        return networks[number](x[:, 1:] if number == faulty else x)

    with torch.set_grad_enabled(gradients), pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        side_by_side(run, networks, torch.randn(7, 3))
    y, _ = side_by_side(lambda number, x: networks[number](x), networks, torch.randn(7, 3))
    assert y.shape == (7, 4)
