"""Process long sequences of frames in blocks that fit the cache, on several threads."""

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

MIN_THREADED_BLOCKS = 8  # fewer are done before another thread has woken up

_local = threading.local()  # .threads: how many `map_threads` may use, within `single_threaded`


@contextmanager
def single_threaded(share: bool) -> Iterator[None]:
    """Run each torch operation on one thread; `map_threads` has the other threads.

    An operation on a block takes microseconds. Two of torch's threads that meet after each operation gain a third at
    best; where another process keeps one of 2 cores busy they wait for its time slices, and took 10 to 100 times as
    long. Threads that meet once per batch do neither.

    Args:
        share: whether `map_threads` may use as many threads as torch has now; else it uses one.
    """
    _local.threads = torch.get_num_threads() if share else 1
    try:
        with torch_threads(1):
            yield
    finally:
        _local.threads = 1


def block_frames(frames: Tensor) -> int:
    """Return how many frames of ``frames`` (N, T, …) to process at once: what stays in the cache, or fills a GPU."""
    return 1024 if frames.device.type == "cpu" else max(1, 16384 // len(frames))


def thread_local_buffer(like: Tensor, shape: tuple[int, ...], used: int) -> Tensor:
    """Return a buffer for intermediate results.

    On a CPU each thread is given the same memory again: memory that is freed goes back to the system where other
    libraries have left the heap so, and clean pages for the next call take longer than its arithmetic.

    Args:
        like: a tensor of the device that the buffer is for.
        shape: of the buffer.
        used: the caller writes only to the first ``used`` elements of the last dimension.

    Returns:
        float32 of ``shape``: zero from ``used`` on in the last dimension, of any value before it.
    """
    if like.device.type != "cpu":
        return like.new_zeros(shape)
    if getattr(_local, "buffer_key", None) != (shape, used):
        with torch.inference_mode(False):  # a tensor made in that mode could not be written to outside it
            _local.buffer_key, _local.buffer = (shape, used), torch.zeros(shape)
    buffer: Tensor = _local.buffer
    return buffer


def map_blocks(work: Callable[[Blocks], None], frames: Tensor) -> None:
    """Call ``work`` with all blocks, pairs (begin, end) of frames, that ``frames`` (N, T, …) is split into.

    Where there are many blocks they are divided among threads, as by `map_threads`.
    """
    total, size = frames.shape[1], block_frames(frames)
    blocks = [(begin, min(begin + size, total)) for begin in range(0, total, size)]
    if len(blocks) < MIN_THREADED_BLOCKS:
        work(blocks)
    else:
        map_threads(work, blocks)


def map_threads(work: Callable[[Sequence[T]], None], items: Sequence[T]) -> None:
    """Call ``work`` on each thread with a share of the items; within ``work`` no further threads are used.

    The number of threads is that of `single_threaded`, outside of which it is one. An exception of any thread is
    raised when all are done.
    """
    threads = min(getattr(_local, "threads", 1), len(items))
    if threads < 2:
        work(items)
        return
    inference = torch.is_inference_mode_enabled()  # each thread has its own mode

    def work_on_share(number: int) -> None:
        with torch.inference_mode(inference), torch.no_grad():
            work(items[number::threads])

    tasks = [pool(threads - 1, 1).submit(work_on_share, number) for number in range(1, threads)]
    _local.threads = 1
    try:
        work_on_share(0)
    finally:
        _local.threads = threads
        for task in tasks:
            task.result()
