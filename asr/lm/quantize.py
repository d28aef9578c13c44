"""Numbers in few bits: code books of 256 values, and arrays of integers of any width."""

from __future__ import annotations

import numpy as np

from asr.utils.numba_cache import njit
from asr.utils.numba_options import KERNEL

LEVELS = 256  # values of a code book: a code is a byte
ROUNDS = 10  # of Lloyd's algorithm; further ones lower the error by less than 0.1 %
CHUNK = 1 << 16  # integers packed at a time


def code_book(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find 256 values that represent others with the least mean square error (Lloyd 1982, Max 1960).

    Up to 256 different values are represented exactly.

    Args:
        values: (n,) float32, finite.

    Returns:
        The 256 values in ascending order, float32, and the code of each of ``values``, uint8.
    """
    distinct, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    if len(distinct) <= LEVELS:
        book = np.zeros(LEVELS, dtype=np.float32)
        book[: len(distinct)] = distinct
        return book, inverse.astype(np.uint8)
    weight, x = counts.astype(np.float64), distinct.astype(np.float64)
    sums = np.array([np.concatenate([[0.0], np.cumsum(weight * x**power)]) for power in (0, 1, 2)])
    ends = np.array([0, len(x)])  # of cells, which are ranges of ``distinct``
    for _ in range(ROUNDS):
        ends = _split(np.unique(ends), x, sums)
        mass, first, _ = np.diff(sums[:, ends])
        means = first / mass
        ends = np.concatenate([[0], np.searchsorted(x, (means[1:] + means[:-1]) / 2), [len(x)]])
    cell = np.searchsorted((means[1:] + means[:-1]) / 2, x, side="right")
    return means.astype(np.float32), cell.astype(np.uint8)[inverse]


def _split(ends: np.ndarray, x: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Split the cells of the largest error at their means until there are 256, of about equal errors."""
    while (missing := LEVELS + 1 - len(ends)) > 0:
        mass, first, second = np.diff(sums[:, ends])
        error = np.where(np.diff(ends) > 1, second - first**2 / mass, -np.inf)
        worst = np.argsort(-error)[: min(missing, 1 + len(error) // 8)]
        worst = worst[error[worst] > -np.inf]
        inside = np.searchsorted(x, (first / mass)[worst])
        ends = np.union1d(ends, np.clip(inside, ends[worst] + 1, ends[worst + 1] - 1))
    return ends


def pack_bits(values: np.ndarray, width: int) -> np.ndarray:
    """Pack integers (n,) of ``width`` bits one after another; uint64, with one more at the end for `unpack`."""
    size = (len(values) * width + 63) // 64 + 1
    packed = np.zeros(8 * size, dtype=np.uint8)
    for begin in range(0, len(values), CHUNK):  # a chunk fills whole bytes
        bits = (values[begin : begin + CHUNK, None] >> np.arange(width)) & 1
        piece = np.packbits(bits.astype(np.uint8).ravel(), bitorder="little")
        packed[begin * width // 8 :][: len(piece)] = piece
    return packed.view("<u8")


@njit(**KERNEL)
def unpack(packed: np.ndarray, width: int, index: int) -> int:
    """Return integer number ``index`` of those that `pack_bits` packed."""
    bit = index * width
    at, shift = bit >> 6, bit & 63
    value = packed[at] >> np.uint64(shift)
    if shift + width > 64:
        value |= packed[at + 1] << np.uint64(64 - shift)
    return np.int64(value & ((np.uint64(1) << np.uint64(width)) - np.uint64(1)))


@njit(**KERNEL)
def count_bits(value: np.uint64) -> int:
    """Return the number of ones among 64 bits."""
    pairs = value - ((value >> np.uint64(1)) & np.uint64(0x5555555555555555))
    fours = (pairs & np.uint64(0x3333333333333333)) + ((pairs >> np.uint64(2)) & np.uint64(0x3333333333333333))
    bytes_ = (fours + (fours >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((bytes_ * np.uint64(0x0101010101010101)) >> np.uint64(56))
