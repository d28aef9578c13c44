"""How many cores and threads there are to use, and threads of our own beside torch's."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import torch

CGROUP = Path("/sys/fs/cgroup")  # of this process, as a container shows it


def available_cores() -> int:
    """Return the number of CPU cores that this process may use, at least 1.

    That is the number in its affinity mask (`os.cpu_count` counts all cores of the machine), or the CPU quota of its
    container (cgroup v2 or v1) if that is less, rounded up.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, math.ceil(_cpu_quota(CGROUP))))


def _cpu_quota(cgroup: Path) -> float:
    """Cores' worth of time that a control group allows; `sys.maxsize` without a limit."""
    try:
        if (cgroup / "cpu.max").is_file():
            quota, period = (cgroup / "cpu.max").read_text().split()
        else:
            quota, period = ((cgroup / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(quota) / int(period) if quota != "max" and int(quota) > 0 else sys.maxsize
    except (OSError, ValueError, ZeroDivisionError):  # no control groups here, or none that we can read
        return sys.maxsize


def flush_denormals() -> None:
    """Have this process round subnormal floating-point numbers to zero, for good.

    Weights and gradients of long trained networks have many, and each makes a step of an LSTM 10 to 100 times as slow.
    Threads inherit the setting, so call this where a program starts, before the first parallel operation.
    """
    torch.set_flush_denormal(True)


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
