"""Greedy CTC decoding: the most probable label of each frame, repeats merged, blanks removed."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor

import numpy as np

from asr.decoding.ctc import greedy
from asr.decoding.ctc._scores import check_log_probs
from asr.decoding.hypothesis import Hypothesis
from asr.errors import InputError
from asr.inference.decoders.base import BaseDecoder, Search, check_scores
from asr.text.vocabulary import Vocabulary


class GreedyDecoder(BaseDecoder):
    """Best-path decoding (`asr.decoding.ctc.greedy`) of one head; for arguments see `BaseDecoder`.

    Raises:
        InputError: a ``calibration`` with factors for evidence that greedy decoding does not have.
    """

    def __init__(self, vocabulary: Vocabulary, *, calibration: Sequence[float] | None = None) -> None:
        if calibration is not None and len(calibration) > 2:
            raise InputError(f"calibration={list(calibration)}: greedy decoding has two numbers, a slope and an offset")
        super().__init__(vocabulary, calibration=calibration)

    def search(self, log_probs: np.ndarray, lengths: np.ndarray) -> list[list[Hypothesis]]:
        """Return the one hypothesis of each utterance: log-probabilities (N, T, V), lengths (N,) to lists of one.

        Raises:
            InputError: shapes or lengths do not fit, or scores are not natural logs of probabilities.
        """
        check_scores(log_probs, lengths, self.vocabulary)
        return [[hypothesis] for hypothesis in greedy.search(log_probs, lengths, self.vocabulary.blank)]

    def start(self, pool: Executor | None = None) -> Search:
        """Begin a search over one recording."""
        return GreedySearch(len(self.vocabulary), self.vocabulary.blank)


class GreedySearch:
    """Greedy search over one recording; keeps the best label of each frame and its log-probability only."""

    def __init__(self, labels: int, blank: int) -> None:
        self.labels = labels
        self.blank = blank
        self._paths: list[np.ndarray] = []
        self._scores: list[np.ndarray] = []

    @property
    def frames(self) -> int:
        """Number of frames fed so far."""
        return sum(map(len, self._paths))

    def feed(self, frames: np.ndarray) -> None:
        """Take in the next log-probabilities (T, V), natural. Raises InputError for scores that are not."""
        check_log_probs(frames, self.labels, self.frames)
        path, scores = greedy.best_path(frames)
        self._paths.append(path)
        self._scores.append(scores)

    def finish(self) -> list[Hypothesis]:
        """Return a list of the one hypothesis."""
        return [greedy.collapse(np.concatenate(self._paths), np.concatenate(self._scores), self.blank)]
