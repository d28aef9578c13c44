"""Decode recordings of any length in segments between pauses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from asr.decoding.ctc.beam import CTCBeamSearch
from asr.decoding.hypothesis import Hypothesis

# Frames of scores: stretches of a long recording end in the first pause of so many after so many, at the latest after
# so many.
PAUSE, STRETCH, LONGEST = 15, 1000, 4000


class Segments:
    """A search over a recording of any length, as one after another over stretches between pauses.

    A pause is what a language model may take for the end of a sentence, and memory stays bounded.
    """

    def __init__(self, search: CTCBeamSearch) -> None:
        self.search = search
        self.frames = 0
        self._waiting = np.zeros((0, search.labels), dtype=np.float32)
        self._done: list[Hypothesis] = []
        self._begin = 0  # frame at which the stretch begins that is searched now

    def feed(self, log_probs: np.ndarray) -> None:
        """Take in the next frames (T, V), natural logs."""
        self.frames += len(log_probs)
        self._waiting = np.concatenate([self._waiting, log_probs])
        while (cut := pause(self._waiting[:, self.search.blank])) is not None:
            self._search(cut)

    def _search(self, frames: int) -> list[Hypothesis]:
        self.search.start()
        self.search.feed(self._waiting[:frames])
        found = [shifted(hypothesis, self._begin) for hypothesis in self.search.finish()]
        self._waiting = self._waiting[frames:]
        self._begin += frames
        self._done.append(found[0])
        return found

    def finish(self) -> list[Hypothesis]:
        """The best hypotheses; of a recording that was cut only the best one."""
        found = self._search(len(self._waiting))
        return found if len(self._done) == 1 else [joined(self._done)]


def pause(blank: np.ndarray) -> int | None:
    """Where to cut scores of blank (T,), natural logs: in the first pause after `STRETCH` frames.

    None: not yet. Where there is no pause up to `LONGEST` frames, at the surest blank of the second half.
    """
    sure = blank[STRETCH:LONGEST] > np.log(0.9)
    runs = np.convolve(sure, np.ones(PAUSE), "valid") if len(sure) >= PAUSE else np.zeros(0)
    if (found := np.flatnonzero(runs > PAUSE - 0.5)).size:
        return STRETCH + int(found[0]) + PAUSE // 2
    if len(blank) < LONGEST:
        return None
    half = LONGEST // 2
    return half + int(blank[half:LONGEST].argmax())


def shifted(hypothesis: Hypothesis, frames: int) -> Hypothesis:
    """The same, so many frames later."""
    return replace(hypothesis, frames=tuple((first + frames, end + frames) for first, end in hypothesis.frames))


def joined(parts: Sequence[Hypothesis]) -> Hypothesis:
    """Hypotheses one after another as one."""
    words: list[tuple[int, int, int]] = []
    labels = 0
    for part in parts:
        words += [(word, first + labels, end + labels) for word, first, end in part.words]
        labels += len(part.labels)
    return Hypothesis(
        labels=tuple(chain.from_iterable(part.labels for part in parts)),
        score=sum(part.score for part in parts),
        frames=tuple(chain.from_iterable(part.frames for part in parts)),
        confidence=tuple(chain.from_iterable(part.confidence for part in parts)),
        words=tuple(words),
    )
