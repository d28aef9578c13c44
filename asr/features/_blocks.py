"""Work on long sequences of frames in blocks that fit the cache, on several threads where there are."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias, TypeVar

import torch
from torch import Tensor

from asr.utils.threads import pool, torch_threads

T = TypeVar("T")
Blocks: TypeAlias = "Sequence[tuple[int, int]]"

FEW = 8  # blocks, over before another thread has woken up

_local = threading.local()  # .threads: how many `map_threads` may use, within `single_threaded`


@contextmanager
def single_threaded(share: bool) -> Iterator[None]:
    """Run each torch operation on one thread, and let `map_threads` have the others if work is to be shared.

    An operation on a block is over in microseconds. Two of torch's threads that meet after each gain a third at best;
    where another process keeps one of 2 cores busy they wait for its time slices, and took 10 to 100 times as long.
    Threads that meet once a batch do neither.
    """
    _local.threads = torch.get_num_threads() if share else 1
    try:
        with torch_threads(1):
            yield
    finally:
        _local.threads = 1


def block_frames(frames: Tensor) -> int:
    """How many frames of ``frames`` (N, T, …) to work on at once: what stays in the cache, or fills a GPU."""
    return 1024 if frames.device.type == "cpu" else max(1, 16384 // len(frames))


def thread_local_buffer(like: Tensor, shape: tuple[int, ...], used: int) -> Tensor:
    """Space of ``shape`` whose last dimension is zero from ``used`` on; before it a CPU's holds what a call left there.

    A thread is given the same again: memory that is freed goes back to the system where other libraries have left the
    heap so, and clean pages for the next call take longer than its arithmetic.
    """
    if like.device.type != "cpu":
        return like.new_zeros(shape)
    if getattr(_local, "kept", None) != (shape, used):
        with torch.inference_mode(False):  # what is made in that mode could not be written to outside it
            _local.kept, _local.scratch = (shape, used), torch.zeros(shape)
    space: Tensor = _local.scratch
    return space


def on_blocks(work: Callable[[Blocks], None], frames: Tensor) -> None:
    """Have ``work`` done on all blocks (begin, end) of ``frames`` (N, T, …), `map_threads`."""
    total, size = frames.shape[1], block_frames(frames)
    blocks = [(begin, min(begin + size, total)) for begin in range(0, total, size)]
    if len(blocks) < FEW:
        work(blocks)
    else:
        map_threads(work, blocks)


def map_threads(work: Callable[[Sequence[T]], None], items: Sequence[T]) -> None:
    """Have ``work`` done on all items, each thread being given a list of them; within it, on that thread alone."""
    threads = min(getattr(_local, "threads", 1), len(items))
    if threads < 2:
        work(items)
        return
    inference = torch.is_inference_mode_enabled()  # each thread has its own such modes

    def share(number: int) -> None:
        with torch.inference_mode(inference), torch.no_grad():
            work(items[number::threads])

    tasks = [pool(threads - 1, 1).submit(share, number) for number in range(1, threads)]
    _local.threads = 1
    try:
        share(0)
    finally:
        _local.threads = threads
        for task in tasks:
            task.result()
