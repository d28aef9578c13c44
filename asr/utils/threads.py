"""How many threads torch has, and threads of our own beside torch's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache

import torch


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Run each torch operation on so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def pool(workers: int, number: int) -> ThreadPoolExecutor:
    """Up to so many other threads, on each of which torch has ``number`` threads; call it within `torch_threads`.

    They are kept for the next call, and inherit flushed denormals.
    """
    return _pool(workers, number, os.getpid())


@lru_cache(maxsize=2)
def _pool(workers: int, number: int, process: int) -> ThreadPoolExecutor:
    """A forked process has none of its parent's threads, so each has pools of its own."""
    executor = ThreadPoolExecutor(workers, "asr", torch.set_num_threads, (number,))
    executor.submit(int).result()  # what a thread sets is new threads' default too, until the caller sets it back
    return executor
