"""Where in a long recording something is said: stretches of speech by their loudness, and windows over them.

A recording is read twice, once for how loud it is and once for the stretches, and never held whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np

# Seconds, unless they are said to be something else; found on recordings of recipes/fsdd's dev.
FRAME = 0.01
GAP = 0.2  # of quiet between two words, at least; within a word there are shorter ones
MARGIN = 0.08  # before and behind a stretch, as the edges of words are quiet
SHORTEST = 0.06  # what is shorter is a click
LONGEST = 30.0  # without a gap: what is longer is cut there
FLOOR = -120  # dB, for digital silence
SPAN = 60.0  # dB below the loudest, from where on nothing is speech
SHARE = 0.25  # of the way, in dB, from the quiet to the loud that is speech
LEAST = 10.0  # dB between the two, where there is speech at all
OVERLAP = 0.25  # of a window that two words may have in common


@dataclass(frozen=True)
class Detection:
    """A word that was found, from ``start`` to ``end`` seconds."""

    word: str
    start: float
    end: float
    probability: float


class Stretch(NamedTuple):
    """Speech from frame ``first`` to ``end``; ``samples`` begin ``before`` frames earlier, and go on behind it."""

    first: int
    end: int
    before: int
    samples: np.ndarray


def frames(blocks: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """A waveform in blocks as frames (n, ``size``); the last samples are left out if they fill none."""
    rest = np.zeros(0, np.float32)
    for block in blocks:
        joined = np.concatenate([rest, block])
        whole = len(joined) // size * size
        rest = joined[whole:]
        yield joined[:whole].reshape(-1, size)


def levels(framed: np.ndarray) -> np.ndarray:
    """Mean power of each frame, in dB of full scale, not below FLOOR."""
    power = np.mean(np.square(framed, dtype=np.float64), axis=1)
    return 10 * np.log10(np.maximum(power, 10 ** (FLOOR / 10)))


def speech_level(framed: Iterable[np.ndarray]) -> float | None:
    """The level, in dB, from which on a frame of this recording is speech; None if all of it is equally loud.

    By a histogram in steps of 1 dB: quiet is what one frame in ten lies below, loud what one in a hundred lies above.
    """
    counts = np.zeros(1 - FLOOR + 30, np.int64)
    for block in framed:
        bins = np.clip(np.rint(levels(block)).astype(int) - FLOOR, 0, len(counts) - 1)
        counts += np.bincount(bins, minlength=len(counts))
    share = np.cumsum(counts) / max(counts.sum(), 1)
    quiet, loud = (int(np.searchsorted(share, part)) + FLOOR for part in (0.1, 0.99))
    floor = max(quiet, loud - SPAN)
    return None if loud - floor < LEAST else floor + SHARE * (loud - floor)


def stretches(framed: Iterable[np.ndarray], level: float) -> Iterator[Stretch]:
    """Runs of frames as loud as ``level``, with no more than GAP of quieter ones within, and MARGIN around them."""
    gap, margin, longest = (round(seconds / FRAME) for seconds in (GAP, MARGIN, LONGEST))
    waiting: np.ndarray | None = None
    begin = 0  # number of the first frame that waits
    for block in chain(framed, [None]):
        if block is not None:
            waiting = block if waiting is None else np.concatenate([waiting, block])
        if waiting is None:
            return
        runs = _runs(levels(waiting) >= level, gap)
        keep = max(0, len(waiting) - margin)
        if block is not None and runs:
            first, end = runs[-1]
            if len(waiting) - end < gap + margin and end - first < longest:  # it may go on
                runs.pop()
                keep = max(0, first - margin)
        for first, end in runs:
            if end - first >= SHORTEST / FRAME:
                before = min(margin, first)
                samples = waiting[first - before : end + margin].ravel()
                yield Stretch(begin + first, begin + end, before, samples)
        if runs:
            keep = max(keep, runs[-1][1])
        waiting, begin = waiting[keep:], begin + keep


def _runs(loud: np.ndarray, gap: int) -> list[tuple[int, int]]:
    """(first, end) of the runs of True that have less than ``gap`` of False within."""
    where = np.flatnonzero(loud)
    if not len(where):
        return []
    breaks = np.flatnonzero(np.diff(where) > gap)
    firsts, lasts = where[np.r_[0, breaks + 1]], where[np.r_[breaks, len(where) - 1]]
    return list(zip(firsts.tolist(), (lasts + 1).tolist(), strict=True))


def windows(length: int, window: int, hop: int) -> list[tuple[int, int]]:
    """What is looked at of a stretch: all of it if it is no longer than two windows, or else windows, hop by hop."""
    if length <= 2 * window:
        return [(0, length)]
    starts = [*range(0, length - window, hop), length - window]
    return [(start, start + window) for start in starts]


def suppress(found: Sequence[Detection]) -> list[Detection]:
    """Of detections that overlap, the likeliest (non-maximum suppression), in order of time."""
    kept: list[Detection] = []
    for one in sorted(found, key=lambda one: -one.probability):
        if all(_overlap(one, other) <= OVERLAP for other in kept):
            kept.append(one)
    return sorted(kept, key=lambda one: one.start)


def _overlap(one: Detection, other: Detection) -> float:
    """What two detections have in common, as a share of the shorter one."""
    common = min(one.end, other.end) - max(one.start, other.start)
    return common / min(one.end - one.start, other.end - other.start)
