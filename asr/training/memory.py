"""The C library's allocator, set for training on a CPU."""

from __future__ import annotations

import ctypes
from typing import Any

import lightning as L

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8  # of <malloc.h>
STEPS = 64  # between two returns of what is free


def _glibc() -> Any:
    """The C library, if it is one with these settings."""
    try:
        library: Any = ctypes.CDLL(None)
        library.mallopt, library.malloc_trim  # noqa: B018
    except (AttributeError, OSError, TypeError):  # another C library; Windows
        return None
    return library


def share_one_heap() -> None:
    """Let glibc give all threads memory from one heap. Call it before there is a second thread: later it does nothing.

    A thread's own heap is made of pieces of 64 MB. What is larger is mapped anew each time, pieces are given back as
    soon as they are free, and the kernel clears the pages once more: a tenth of a step of `recipes/english`, in which
    the second direction of an LSTM is computed on a thread of its own.
    """
    if (libc := _glibc()) is not None:
        libc.mallopt(_ARENA_MAX, 1)


class KeepFreedMemory(L.Callback):
    """Lets glibc keep what a step frees for the next one, and give it back every `STEPS` steps; elsewhere does nothing.

    Each step frees and asks again for the same few hundred megabytes, and the kernel clears every page of them when it
    is first written to: forward and backward of 3 x 320 LSTM cells took 1.03 s, and 0.88 s so. Kept for good they would
    crumble, as no two batches are of one size: 13 GB after six epochs of `recipes/english`. Given back every 16 steps
    they took 4.3 GB at the peak there (1.1 of it audio) and clearing pages an eighth of the time, every 64 steps 6.0 GB
    and a fifteenth, every 512 steps 8.8 GB and as much.
    """

    def __init__(self) -> None:
        self._libc = _glibc()

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._libc is not None:
            self._libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
            self._libc.mallopt(_MMAP_MAX, 0)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._libc is not None and batch_idx % STEPS == 0:
            self._libc.malloc_trim(ctypes.c_size_t(0))
