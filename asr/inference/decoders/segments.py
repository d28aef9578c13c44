"""Beam search over recordings of any length, in segments that end at pauses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from asr.decoding.ctc.beam import CTCBeamSearch
from asr.decoding.hypothesis import Hypothesis
from asr.errors import InputError

MIN_PAUSE_FRAMES = 15  # of blank, where a segment may end
MIN_SEGMENT_FRAMES = 1000  # before a segment may end
MAX_SEGMENT_FRAMES = 4000  # without a pause a segment ends within these

PAUSE_LOG_PROB = np.log(0.9)  # of blank, from which on a frame counts as a pause


class SegmentedSearch:
    """A beam search over a recording of any length, one segment between pauses after another.

    A pause is where a language model may assume the end of a sentence, and memory stays bounded.

    Args:
        search: the search over one segment; it is started anew for each.
    """

    def __init__(self, search: CTCBeamSearch) -> None:
        self.search = search
        self.frames = 0  # fed so far
        self._waiting = np.zeros((0, search.labels), dtype=np.float32)
        self._finished: list[Hypothesis] = []  # the best one of each segment
        self._begin = 0  # frame of the recording at which the current segment begins

    def feed(self, frames: np.ndarray) -> None:
        """Take in the next log-probabilities (T, V), natural. Raises InputError for scores of another shape."""
        if frames.ndim != 2 or frames.shape[1] != self.search.labels:
            raise InputError(f"scores have the shape {frames.shape}: use (frames, {self.search.labels})")
        self.frames += len(frames)
        self._waiting = np.concatenate([self._waiting, frames])
        while (end := segment_end(self._waiting[:, self.search.blank])) is not None:
            self._search_segment(end)

    def _search_segment(self, frames: int) -> list[Hypothesis]:
        self.search.start()
        self.search.feed(self._waiting[:frames])
        hypotheses = [shift_frames(hypothesis, self._begin) for hypothesis in self.search.finish()]
        self._waiting = self._waiting[frames:]
        self._begin += frames
        self._finished.append(hypotheses[0])
        return hypotheses

    def finish(self) -> list[Hypothesis]:
        """Return the n best hypotheses, best first; of a recording of several segments only the best one."""
        hypotheses = self._search_segment(len(self._waiting))
        return hypotheses if len(self._finished) == 1 else [concatenate(self._finished)]


def segment_end(blank: np.ndarray) -> int | None:
    """Return the frame at which to end a segment, given the log-probabilities (T,) of blank; None: not yet.

    That is the middle of the first pause after `MIN_SEGMENT_FRAMES`. If there is none within `MAX_SEGMENT_FRAMES`, it
    is the frame with the most probable blank in the second half of these.
    """
    is_pause = blank[MIN_SEGMENT_FRAMES:MAX_SEGMENT_FRAMES] > PAUSE_LOG_PROB
    if len(is_pause) >= MIN_PAUSE_FRAMES:
        run_lengths = np.convolve(is_pause, np.ones(MIN_PAUSE_FRAMES), "valid")
        if (starts := np.flatnonzero(run_lengths > MIN_PAUSE_FRAMES - 0.5)).size:
            return MIN_SEGMENT_FRAMES + int(starts[0]) + MIN_PAUSE_FRAMES // 2
    if len(blank) < MAX_SEGMENT_FRAMES:
        return None
    half = MAX_SEGMENT_FRAMES // 2
    return half + int(blank[half:MAX_SEGMENT_FRAMES].argmax())


def shift_frames(hypothesis: Hypothesis, offset: int) -> Hypothesis:
    """Return a hypothesis whose frames are ``offset`` later."""
    return replace(hypothesis, frames=tuple((first + offset, end + offset) for first, end in hypothesis.frames))


def concatenate(hypotheses: Sequence[Hypothesis]) -> Hypothesis:
    """Join the hypotheses of consecutive segments into one."""
    words: list[tuple[int, int, int]] = []
    labels = 0
    for hypothesis in hypotheses:
        words += [(word, first + labels, end + labels) for word, first, end in hypothesis.words]
        labels += len(hypothesis.labels)
    return Hypothesis(
        labels=tuple(chain.from_iterable(hypothesis.labels for hypothesis in hypotheses)),
        score=sum(hypothesis.score for hypothesis in hypotheses),
        frames=tuple(chain.from_iterable(hypothesis.frames for hypothesis in hypotheses)),
        confidence=tuple(chain.from_iterable(hypothesis.confidence for hypothesis in hypotheses)),
        words=tuple(words),
    )
