"""Work on a long sequence of frames in blocks that fit the cache, on several threads where there are."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from typing import TypeAlias

import torch
from torch import Tensor

Blocks: TypeAlias = "Sequence[tuple[int, int]]"

_local = threading.local()  # .threads: how many `on_blocks` may use, within `own_threads`


@contextmanager
def own_threads() -> Iterator[None]:
    """Run each torch operation on one thread, and let `on_blocks` have the others.

    An operation on a block is over in microseconds. Two of torch's threads that meet after each gain a third at best;
    where another process keeps one of 2 cores busy they wait for its time slices, and took 10 to 100 times as long.
    Threads that meet once a sequence do neither.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    _local.threads = threads
    try:
        yield
    finally:
        _local.threads = 1
        torch.set_num_threads(threads)


def block_frames(frames: Tensor) -> int:
    """How many frames of ``frames`` (N, T, …) to work on at once: what stays in the cache, or fills a GPU."""
    return 256 if frames.device.type == "cpu" else max(1, 16384 // len(frames))


def on_blocks(work: Callable[[Blocks], None], frames: Tensor, scale: int = 1, *, in_order: bool = False) -> None:
    """Have ``work`` done on all blocks (begin, end) of ``frames`` (N, T, …), ``scale`` times `block_frames` long.

    On the CPU each thread is given a list of blocks; all go to one, ``in_order``, where random numbers are drawn. The
    blocks are the same whatever the number of threads.
    """
    total, size = frames.shape[1], scale * block_frames(frames)
    blocks = [(begin, min(begin + size, total)) for begin in range(0, total, size)]
    threads = min(getattr(_local, "threads", 1), len(blocks))
    if threads < 2 or in_order or frames.device.type != "cpu":
        work(blocks)
        return
    inference = torch.is_inference_mode_enabled()  # each thread has its own such modes

    def share(number: int) -> None:
        with torch.inference_mode(inference), torch.no_grad():
            work(blocks[number::threads])

    tasks = [_pool(threads - 1, os.getpid()).submit(share, number) for number in range(1, threads)]
    try:
        share(0)
    finally:
        for task in tasks:
            task.result()


@lru_cache(maxsize=1)
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """The threads of this process; a forked one has none of its parent's."""
    return ThreadPoolExecutor(threads, "features", torch.set_num_threads, (1,))
