"""The C library's allocator, set for training on a CPU."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of <malloc.h>


def keep_freed_memory() -> None:
    """Let glibc keep what is freed instead of giving it back to the system; elsewhere do nothing.

    Each step frees and asks again for the same few hundred megabytes, and every page of them is cleared by the kernel
    when it is first written to: a quarter of a step of 3 x 320 LSTM cells (forward and backward took 1.05 s, and
    0.77 s so). The process grows to its peak and stays there.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library; Windows
        return
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(_MMAP_MAX, 0)
