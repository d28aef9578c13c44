"""Selection and sorting of indices by a key, compiled by Numba."""

from __future__ import annotations

import numpy as np

from asr.utils.numba_cache import njit
from asr.utils.numba_options import ALLOCATING_KERNEL, KERNEL

INSERTION = 128  # up to this many indices an insertion sort is faster than a merge sort: they are nearly sorted


@njit(**KERNEL)
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


@njit(**KERNEL)
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


@njit(**KERNEL)
def sort_by_key(key: np.ndarray, chosen: np.ndarray, count: int) -> None:
    """Sort the first ``count`` indices into ``key`` in place, largest key first; equal keys keep their order."""
    if count > INSERTION:
        _merge_sort(key, chosen[:count])
        return
    for r in range(1, count):
        k = chosen[r]
        j = r
        while j > 0 and key[chosen[j - 1]] < key[k]:
            chosen[j] = chosen[j - 1]
            j -= 1
        chosen[j] = k


@njit(**ALLOCATING_KERNEL)
def _merge_sort(key: np.ndarray, chosen: np.ndarray) -> None:
    """Sort indices as `sort_by_key` does."""
    chosen[:] = chosen[np.argsort(-key[chosen], kind="mergesort")]
