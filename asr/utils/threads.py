"""CPU cores, torch's threads, and a pool of further threads.

torch is imported where it is used: the decoders of scores do without.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from itertools import cycle
from pathlib import Path

from asr.errors import InputError

CGROUP = Path("/sys/fs/cgroup")  # of this process, as a container shows it


def available_cores() -> int:
    """Return the number of CPU cores that this process may use, at least 1.

    That is the number in its affinity mask (`os.cpu_count` counts all cores of the machine), or the CPU quota of its
    container (cgroup v2 or v1) if that is less, rounded up.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, math.ceil(_cpu_quota(CGROUP))))


def _cpu_quota(cgroup: Path) -> float:
    """Return the CPU quota of a control group in cores; `sys.maxsize` without a limit."""
    try:
        if (cgroup / "cpu.max").is_file():
            quota, period = (cgroup / "cpu.max").read_text().split()
        else:
            quota, period = ((cgroup / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(quota) / int(period) if quota != "max" and int(quota) > 0 else sys.maxsize
    except (OSError, ValueError, ZeroDivisionError):  # no control groups here, or none that we can read
        return sys.maxsize


def pin_in_turn() -> Callable[[], None]:
    """Return an initializer of a thread pool that binds each thread to one core of this process, to one after another.

    Raises:
        InputError: an operating system that does not bind threads.
    """
    if not hasattr(os, "sched_setaffinity"):
        raise InputError(f"threads cannot be pinned to cores on {sys.platform}")
    cores = cycle(sorted(os.sched_getaffinity(0)))
    return lambda: os.sched_setaffinity(0, {next(cores)})  # 0: the thread that calls


def flush_denormals() -> None:
    """Have this process round subnormal floating-point numbers to zero, for good.

    Weights and gradients of long trained networks have many, and each makes a step of an LSTM 10 to 100 times as slow.
    Threads inherit the setting, so call this where a program starts, before the first parallel operation.
    """
    import torch

    torch.set_flush_denormal(True)


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Set the number of threads of torch's operations within a ``with`` block."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def pool(workers: int, number: int) -> ThreadPoolExecutor:
    """Return a pool of threads, which is kept for the next call; call it within `torch_threads`.

    Args:
        workers: largest number of threads in the pool.
        number: threads of torch's operations on each of them.
    """
    return _pool(workers, number, os.getpid())


@lru_cache(maxsize=2)
def _pool(workers: int, number: int, process: int) -> ThreadPoolExecutor:
    """Make a pool for each process: a forked process has none of its parent's threads."""
    import torch

    executor = ThreadPoolExecutor(workers, "asr", torch.set_num_threads, (number,))
    # the number that a thread sets becomes the default of new threads, until the caller resets it
    executor.submit(int).result()
    return executor
