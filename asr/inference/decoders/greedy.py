"""Greedy CTC decoding: the best label of each frame, collapsed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from asr.decoding.ctc import greedy
from asr.decoding.hypothesis import Hypothesis
from asr.errors import InputError
from asr.inference.decoders.base import Search
from asr.metrics.calibration import calibrate
from asr.text.vocabulary import Vocabulary


class _BestPath:
    """Greedy search; of each frame it keeps the best label only."""

    def __init__(self, blank: int) -> None:
        self.blank = blank
        self.paths: list[np.ndarray] = []
        self.scores: list[np.ndarray] = []

    @property
    def frames(self) -> int:
        return sum(map(len, self.paths))

    def feed(self, log_probs: np.ndarray) -> None:
        path, scores = greedy.best_path(log_probs)
        self.paths.append(path)
        self.scores.append(scores)

    def finish(self) -> list[Hypothesis]:
        return [greedy.collapse(np.concatenate(self.paths), np.concatenate(self.scores), self.blank)]


class GreedyDecoder:
    """The best path (`asr.decoding.ctc.greedy`) of one head, whose ``vocabulary`` it is.

    ``scoring`` is the vocabulary that its texts are scored by. ``calibration`` are slope and offset of what
    `calibrate` makes of the words' confidences; None: they stay as they are.
    """

    def __init__(self, vocabulary: Vocabulary, *, calibration: Sequence[float] | None = None) -> None:
        if calibration is not None and len(calibration) != 2:
            raise InputError(f"calibration={list(calibration)}: a slope and an offset are wanted")
        self.vocabulary = self.scoring = vocabulary
        self.calibration = calibration

    def search(self, log_probs: np.ndarray, lengths: np.ndarray) -> list[list[Hypothesis]]:
        """The hypothesis of each utterance: natural logs (N, T, V) and lengths (N,) to lists of one."""
        return [[found] for found in greedy.search(log_probs, lengths, self.vocabulary.blank)]

    def start(self) -> Search:
        """A search over one recording."""
        return _BestPath(self.vocabulary.blank)

    def words(self, hypothesis: Hypothesis) -> list[tuple[str, int, int]]:
        """Words (phones: every phone) of a hypothesis: (text, first label, last + 1)."""
        return self.vocabulary.words(hypothesis.labels)

    def confidence(self, hypothesis: Hypothesis) -> list[float]:
        """Confidence of each of `words`: that all its labels are right, if they are independent; calibrated.

        (Measured on dev of recipes/english, expected calibration error of words: 0.157; of their labels' mean 0.462.)
        """
        found = [float(np.prod(hypothesis.confidence[first:end])) for _, first, end in self.words(hypothesis)]
        return found if self.calibration is None else calibrate(found, *self.calibration).tolist()

    def text(self, hypothesis: Hypothesis) -> str:
        """Text of a hypothesis."""
        return " ".join(word for word, _, _ in self.words(hypothesis))
