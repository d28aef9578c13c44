"""Selection and sorting of indices by a key, compiled by Numba."""

from __future__ import annotations

import numpy as np

from asr.utils.numba_cache import njit
from asr.utils.numba_options import INNER_KERNEL

INSERTION = 128  # up to this many indices an insertion sort is faster than a merge sort: they are nearly sorted
RUN = 32  # length of the runs that a merge sort begins with


@njit(**INNER_KERNEL)
def keep_largest(key: np.ndarray, chosen: np.ndarray, count: int, keep: int, scratch: np.ndarray) -> int:
    """Move the indices of the largest keys to the front, in their order.

    Args:
        key: the keys.
        chosen: indices into ``key``; the first ``count`` are looked at.
        count: number of indices.
        keep: number of indices to keep at most; of equal keys the first are kept.
        scratch: (count or more,), overwritten.

    Returns:
        The number of indices kept.
    """
    if count <= keep:
        return count
    for i in range(count):
        scratch[i] = key[chosen[i]]
    cut = kth_largest(scratch, count, keep)
    room = keep  # for keys equal to the cut
    for i in range(count):
        room -= key[chosen[i]] > cut
    kept = 0
    for i in range(count):
        k = chosen[i]
        tie = (key[k] == cut) & (room > 0)
        room -= tie
        chosen[kept] = k  # always written: a branch would be mispredicted half the time
        kept += (key[k] > cut) | tie
    return kept


@njit(**INNER_KERNEL)
def kth_largest(values: np.ndarray, count: int, k: int) -> float:
    """Return the ``k``-th largest of the first ``count`` values, whose order is changed (Hoare 1961, algorithm 65)."""
    low, high, rank = 0, count - 1, k - 1
    while low < high:
        # the pivot is the median of the first, the middle and the last value
        a, b, c = values[low], values[(low + high) // 2], values[high]
        pivot = max(min(a, b), min(max(a, b), c))
        i, j = low, high
        while i <= j:
            while values[i] > pivot:
                i += 1
            while values[j] < pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if rank <= j:
            high = j
        elif rank >= i:
            low = i
        else:
            break
    return values[rank]


@njit(**INNER_KERNEL)
def sort_by_key(key: np.ndarray, chosen: np.ndarray, count: int, buffer: np.ndarray) -> None:
    """Sort the first ``count`` indices into ``key`` in place, largest key first; equal keys keep their order.

    A merge sort of runs that an insertion sort has sorted. (NumPy's sorting within a compiled function takes 5 seconds
    to compile.)

    Args:
        key: the keys.
        chosen: indices into ``key``.
        count: number of indices.
        buffer: (count or more,), overwritten.
    """
    run = INSERTION if count <= INSERTION else RUN
    for begin in range(0, count, run):
        for r in range(begin + 1, min(begin + run, count)):
            k = chosen[r]
            j = r
            while j > begin and key[chosen[j - 1]] < key[k]:
                chosen[j] = chosen[j - 1]
                j -= 1
            chosen[j] = k
    while run < count:
        for begin in range(0, count, 2 * run):
            left, middle, end = begin, min(begin + run, count), min(begin + 2 * run, count)
            right = middle
            for r in range(begin, end):
                if right == end or (left < middle and key[chosen[left]] >= key[chosen[right]]):
                    buffer[r] = chosen[left]
                    left += 1
                else:
                    buffer[r] = chosen[right]
                    right += 1
        for r in range(count):
            chosen[r] = buffer[r]
        run *= 2
