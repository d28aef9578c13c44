"""Speech segments of a long recording by their level, and windows over them for a detector of words.

A recording is read twice, once for the level of speech in it and once for the segments, and is never held whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np

# Found on recordings of recipes/fsdd's dev.
FRAME_SECONDS = 0.01
MIN_GAP_SECONDS = 0.2  # of quiet between two words; within a word there are shorter ones
MARGIN_SECONDS = 0.08  # before and after a segment, as the edges of words are quiet
MIN_SEGMENT_SECONDS = 0.06  # what is shorter is a click
MAX_SEGMENT_SECONDS = 30.0  # a segment without a gap is cut there
FLOOR_DB = -120  # of full scale, for digital silence
MAX_RANGE_DB = 60.0  # below the loudest, from where on nothing is speech
MIN_RANGE_DB = 10.0  # between quiet and loud; with less there is no speech
THRESHOLD_FRACTION = 0.25  # of the range between quiet and loud, above which a frame is speech
MAX_OVERLAP = 0.25  # of the shorter of two words, that they may have in common


@dataclass(frozen=True)
class Detection:
    """A detected word: its class, start and end in seconds, and probability."""

    word: str
    start: float
    end: float
    probability: float


class SpeechSegment(NamedTuple):
    """A segment of speech.

    Attributes:
        first: its first frame.
        end: its last frame + 1.
        margin: frames before the first one with which ``samples`` begin; they end with a margin as well.
        samples: (S,) float32.
    """

    first: int
    end: int
    margin: int
    samples: np.ndarray


def split_frames(blocks: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """Split a waveform in blocks (S,) into frames (T, ``size``); samples that do not fill the last one are left out."""
    rest = np.zeros(0, np.float32)
    for block in blocks:
        samples = np.concatenate([rest, block])
        whole = len(samples) // size * size
        rest = samples[whole:]
        yield samples[:whole].reshape(-1, size)


def frame_levels(frames: np.ndarray) -> np.ndarray:
    """Return the mean power (T,) of frames (T, size) in dB of full scale, not below FLOOR_DB."""
    power = np.mean(np.square(frames, dtype=np.float64), axis=1)
    return 10 * np.log10(np.maximum(power, 10 ** (FLOOR_DB / 10)))


def speech_level(frames: Iterable[np.ndarray]) -> float | None:
    """Return the level in dB above which a frame of a recording is speech; None if all of it is equally loud.

    By a histogram in steps of 1 dB: quiet is the tenth percentile of the levels, loud the 99th.

    Args:
        frames: of the recording, in blocks (T, size).
    """
    counts = np.zeros(1 - FLOOR_DB + 30, np.int64)
    for block in frames:
        bins = np.clip(np.rint(frame_levels(block)).astype(int) - FLOOR_DB, 0, len(counts) - 1)
        counts += np.bincount(bins, minlength=len(counts))
    share = np.cumsum(counts) / max(counts.sum(), 1)
    quiet, loud = (int(np.searchsorted(share, part)) + FLOOR_DB for part in (0.1, 0.99))
    floor = max(quiet, loud - MAX_RANGE_DB)
    return None if loud - floor < MIN_RANGE_DB else floor + THRESHOLD_FRACTION * (loud - floor)


def speech_segments(frames: Iterable[np.ndarray], level: float) -> Iterator[SpeechSegment]:
    """Yield runs of frames of at least a level, with no more than MIN_GAP_SECONDS of quieter frames within.

    Args:
        frames: of the recording, in blocks (T, size).
        level: in dB, see `speech_level`.
    """
    gap, margin, longest = (
        round(seconds / FRAME_SECONDS) for seconds in (MIN_GAP_SECONDS, MARGIN_SECONDS, MAX_SEGMENT_SECONDS)
    )
    waiting: np.ndarray | None = None
    begin = 0  # number of the first frame that waits
    for block in chain(frames, [None]):
        if block is not None:
            waiting = block if waiting is None else np.concatenate([waiting, block])
        if waiting is None:
            return
        runs = _runs(frame_levels(waiting) >= level, gap)
        keep = max(0, len(waiting) - margin)
        if block is not None and runs:
            first, end = runs[-1]
            if len(waiting) - end < gap + margin and end - first < longest:  # it may go on
                runs.pop()
                keep = max(0, first - margin)
        for first, end in runs:
            if end - first >= MIN_SEGMENT_SECONDS / FRAME_SECONDS:
                before = min(margin, first)
                samples = waiting[first - before : end + margin].ravel()
                yield SpeechSegment(begin + first, begin + end, before, samples)
        if runs:
            keep = max(keep, runs[-1][1])
        waiting, begin = waiting[keep:], begin + keep


def _runs(loud: np.ndarray, gap: int) -> list[tuple[int, int]]:
    """(first, end) of the runs of True in (T,) that have less than ``gap`` of False within."""
    where = np.flatnonzero(loud)
    if not len(where):
        return []
    breaks = np.flatnonzero(np.diff(where) > gap)
    firsts, lasts = where[np.r_[0, breaks + 1]], where[np.r_[breaks, len(where) - 1]]
    return list(zip(firsts.tolist(), (lasts + 1).tolist(), strict=True))


def window_spans(length: int, window: int, hop: int) -> list[tuple[int, int]]:
    """Return the windows (first, end) over a segment, in samples.

    A segment that is no longer than two windows is one; else there is one every ``hop``, and one at the end.
    """
    if length <= 2 * window:
        return [(0, length)]
    starts = [*range(0, length - window, hop), length - window]
    return [(start, start + window) for start in starts]


def suppress_overlaps(detections: Sequence[Detection]) -> list[Detection]:
    """Keep the most probable of overlapping detections (non-maximum suppression), in order of time."""
    kept: list[Detection] = []
    for candidate in sorted(detections, key=lambda detection: -detection.probability):
        if all(_overlap(candidate, other) <= MAX_OVERLAP for other in kept):
            kept.append(candidate)
    return sorted(kept, key=lambda detection: detection.start)


def _overlap(one: Detection, other: Detection) -> float:
    """Overlap of two detections as a share of the shorter one."""
    common = min(one.end, other.end) - max(one.start, other.start)
    return common / min(one.end - one.start, other.end - other.start)
