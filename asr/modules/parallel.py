"""Run two networks on one input at the same time, each on half of the CPU's threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from asr.utils.threads import pool, torch_threads

T = TypeVar("T")
Pair = tuple[nn.Module, nn.Module]


def side_by_side(call: Callable[[int, Tensor], Tensor], networks: Pair, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``call(0, x)`` and ``call(1, x)``, differentiable by ``x`` and by the parameters of both networks.

    On a CPU with several threads the two run at the same time, forward and backward: the threads of one LSTM meet
    after each time step, which takes a third of its time, those of two LSTMs meet once. Elsewhere they run one after
    the other. Results are the same.

    Args:
        call: ``call(n, x)`` may use ``networks[n]`` and nothing else that needs a gradient.
        networks: the two networks.
        x: input of both, of any shape.
    """
    if x.device.type != "cpu" or torch.get_num_threads() < 2 or torch.compiler.is_compiling():
        return call(0, x), call(1, x)
    parameters = [[p for p in network.parameters() if p.requires_grad] for network in networks]
    if torch.is_grad_enabled() and (x.requires_grad or any(parameters)):
        first, second = _SideBySide.apply(call, [len(own) for own in parameters], x, *parameters[0], *parameters[1])
        return first, second
    return _run_both(lambda number: call(number, x))


class _SideBySide(torch.autograd.Function):
    """Each half keeps a graph of its own, so that its backward pass can run on its own thread."""

    @staticmethod
    def forward(
        ctx: Any, call: Callable[[int, Tensor], Tensor], counts: Sequence[int], x: Tensor, *parameters: Tensor
    ) -> tuple[Tensor, Tensor]:
        own = parameters[: counts[0]], parameters[counts[0] :]
        leaves = [x.detach().requires_grad_(x.requires_grad) for _ in own]

        def run(number: int) -> Tensor:
            with torch.enable_grad():
                return call(number, leaves[number])

        results = _run_both(run)
        ctx.halves = [
            (y, (leaf, *weights) if x.requires_grad else weights)
            for y, leaf, weights in zip(results, leaves, own, strict=True)
        ]
        ctx.by_x = x.requires_grad
        return results[0].detach(), results[1].detach()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        halves, ctx.halves = ctx.halves, None

        def run(number: int) -> tuple[Tensor, ...]:
            y, inputs = halves[number]
            return torch.autograd.grad(y, inputs, gradients[number]) if inputs else ()

        first, second = _run_both(run)
        if not ctx.by_x:
            return None, None, None, *first, *second
        # both halves read x: its gradient is the sum of theirs
        return None, None, first[0] + second[0], *first[1:], *second[1:]


def _run_both(run: Callable[[int], T]) -> tuple[T, T]:
    """Return ``run(0)``, from this thread, and ``run(1)``, from another one in the same modes of torch."""
    threads = torch.get_num_threads()
    inference, gradients = torch.is_inference_mode_enabled(), torch.is_grad_enabled()
    autocast, precision = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

    def run_in_modes(number: int) -> T:
        with (
            torch.inference_mode(inference),
            torch.set_grad_enabled(gradients),
            # no cache of casted weights: it would belong to the graph of one call
            torch.autocast("cpu", precision, enabled=autocast, cache_enabled=False),
        ):
            return run(number)

    with torch_threads(threads // 2):
        other = pool(1, threads // 2).submit(run_in_modes, 1)
        try:
            mine = run_in_modes(0)
        finally:
            other.exception()  # waits, so that nothing is running when an error leaves here
    return mine, other.result()
