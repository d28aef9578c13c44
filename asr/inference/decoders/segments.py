"""Beam search over recordings of any length, in segments that end at pauses.

Short segments find more: a beam holds the choices for all ambiguous words of a segment, multiplied, and so do the n
texts of a second pass. Nine chapters of LibriSpeech dev-clean (0.5 h), the model of English, frames of 40 ms, WER:

======================== ===== ===== ===== =====
least frames of a segment 150   250   375   1000
======================== ===== ===== ===== =====
without a second pass           12.3  12.4  12.9
with one                  11.8  11.8  12.0  12.5
======================== ===== ===== ===== =====
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from heapq import nlargest
from itertools import chain, pairwise
from operator import itemgetter

import numpy as np

from asr.decoding.ctc.beam import CTCBeamSearch
from asr.decoding.hypothesis import Hypothesis
from asr.errors import InputError

MIN_PAUSE_FRAMES = 15  # of blank, where a segment may end
MIN_SEGMENT_FRAMES = 375  # before a segment may end
MAX_SEGMENT_FRAMES = 4000  # without a pause a segment ends within these
MAX_RUNNING = 8  # segments whose scores are held for the threads that search them

PAUSE_LOG_PROB = np.log(0.9)  # of blank, from which on a frame counts as a pause


class SegmentedSearch:
    """A beam search over a recording of any length, one segment between pauses after another.

    A pause is where a language model may assume the end of a sentence, and memory stays bounded. Where segments end
    depends on the frames alone, so several can be searched at the same time; the result is the same.

    Args:
        make_search: makes a search over one segment; a search is used again for later segments.
        pool: threads that search segments while further frames are fed; None: `feed` and `finish` search them.
        revise: what is done to the hypotheses of a segment.
    """

    def __init__(
        self,
        make_search: Callable[[], CTCBeamSearch],
        pool: Executor | None = None,
        revise: Callable[[Sequence[Hypothesis]], Sequence[Hypothesis]] = lambda hypotheses: hypotheses,
    ) -> None:
        self._make_search = make_search
        self._pool = pool
        self._revise = revise
        self._idle = [make_search()]
        self._labels, self._blank = self._idle[0].labels, self._idle[0].blank
        self.start()

    def start(self) -> None:
        """Begin a new recording."""
        self._waiting = np.zeros((0, self._labels), dtype=np.float32)
        self._begin = 0  # frame of the recording at which the current segment begins
        self._running: deque[Future[list[Hypothesis]]] = deque()
        self._finished: list[list[Hypothesis]] = []  # of the first segments, n best each

    @property
    def frames(self) -> int:
        """Number of frames fed so far."""
        return self._begin + len(self._waiting)

    def feed(self, frames: np.ndarray) -> None:
        """Take in the next log-probabilities (T, V), natural. Raises InputError for scores of another shape."""
        if frames.ndim != 2 or frames.shape[1] != self._labels:
            raise InputError(f"scores have the shape {frames.shape}: use (frames, {self._labels})")
        self._waiting = np.concatenate([self._waiting, frames])
        while (end := segment_end(self._waiting[:, self._blank])) is not None:
            self._submit(end)

    def _submit(self, frames: int) -> None:
        """Search the next frames as a segment, now or on the pool."""
        segment, begin = self._waiting[:frames], self._begin
        self._waiting = self._waiting[frames:]
        self._begin += frames
        if self._pool is None:
            self._finished.append(self._search_segment(segment, begin))
            return
        self._running.append(self._pool.submit(self._search_segment, segment, begin))
        while len(self._running) > MAX_RUNNING:
            self._finished.append(self._running.popleft().result())

    def _search_segment(self, frames: np.ndarray, begin: int) -> list[Hypothesis]:
        """Return the n best hypotheses of a segment, by a search that no other thread uses."""
        try:
            search = self._idle.pop()
        except IndexError:
            search = self._make_search()
        search.start()
        search.feed(frames)
        hypotheses = [shift_frames(hypothesis, begin) for hypothesis in self._revise(search.finish())]
        self._idle.append(search)
        return hypotheses

    @property
    def settled(self) -> list[Hypothesis]:
        """The best hypotheses of the first segments, whose search has ended; `finish` begins with them."""
        while self._running and self._running[0].done():
            self._finished.append(self._running.popleft().result())
        return [hypotheses[0] for hypotheses in self._finished]

    def finish(self) -> list[Hypothesis]:
        """Return the n best hypotheses, best first."""
        self._submit(len(self._waiting))
        while self._running:
            self._finished.append(self._running.popleft().result())
        return join_segments(self._finished)


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


def join_segments(segments: Sequence[Sequence[Hypothesis]]) -> list[Hypothesis]:
    """Return the best hypotheses of a recording, best first, given those of its consecutive segments.

    They are as many as a segment has at most: the segments' hypotheses in all combinations, by the sum of their scores.
    """
    most = max(map(len, segments))
    best: list[tuple[float, tuple[Hypothesis, ...]]] = [(0.0, ())]
    for hypotheses in segments:
        longer = ((score + part.score, parts, part) for score, parts in best for part in hypotheses)
        best = [(score, (*parts, part)) for score, parts, part in nlargest(most, longer, key=itemgetter(0))]
    return [concatenate(parts) for _, parts in best]


def between_pauses(words: Sequence[Sequence[tuple[int, int]]]) -> list[tuple[int, int]]:
    """Return (first, last + 1) of the words between two pauses of `MIN_PAUSE_FRAMES`.

    Args:
        words: the frames (first, last + 1) of the labels of each word.
    """
    gaps = [after[0][0] - before[-1][1] for before, after in pairwise(words)]
    ends = [number for number, gap in enumerate(gaps, 1) if gap >= MIN_PAUSE_FRAMES]
    return list(pairwise([0, *ends, len(words)])) if words else []


def select(hypothesis: Hypothesis, spans: Sequence[tuple[int, int]]) -> Hypothesis:
    """Return a hypothesis with some of its labels only, in spans (first, last + 1) that no word crosses."""
    if list(spans) == [(0, len(hypothesis.labels))]:
        return hypothesis
    parts = [
        replace(
            hypothesis,
            labels=hypothesis.labels[first:end],
            score=0.0,
            model_score=0.0,
            frames=hypothesis.frames[first:end],
            confidence=hypothesis.confidence[first:end],
            certainty=hypothesis.certainty[first:end],
            words=tuple((word, a - first, b - first) for word, a, b in hypothesis.words if first <= a < end),
        )
        for first, end in spans
    ]
    return replace(concatenate(parts), score=hypothesis.score, model_score=hypothesis.model_score)


def shift_frames(hypothesis: Hypothesis, offset: int) -> Hypothesis:
    """Return a hypothesis whose frames are ``offset`` later."""
    return replace(hypothesis, frames=tuple((first + offset, end + offset) for first, end in hypothesis.frames))


def concatenate(hypotheses: Sequence[Hypothesis]) -> Hypothesis:
    """Join the hypotheses of consecutive segments into one."""
    if len(hypotheses) == 1:
        return hypotheses[0]
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
        model_score=sum(hypothesis.model_score for hypothesis in hypotheses),
        certainty=tuple(chain.from_iterable(hypothesis.certainty for hypothesis in hypotheses)),
    )
