"""What a decoder is, and what all decoders share: from the network's output to words with confidences."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Protocol, TypeVar

import numpy as np

from asr.decoding.ctc._batch import check_batch
from asr.decoding.ctc._scores import check_log_probs
from asr.decoding.hypothesis import Hypothesis
from asr.decoding.rows import RowSearch
from asr.errors import InputError
from asr.metrics.calibration import calibrate, collect_evidence
from asr.text.vocabulary import Vocabulary

# a kind of decoder
Decoder = TypeVar("Decoder", bound="BaseDecoder")


class Search(Protocol):
    """A search over one recording, whose frames arrive in pieces."""

    @property
    def frames(self) -> int:
        """Number of frames fed so far."""

    def feed(self, frames: np.ndarray) -> None:
        """Take in the next frames (T, D): log-probabilities (natural) for CTC, encoder vectors for a transducer."""

    def finish(self) -> list[Hypothesis]:
        """Return the n best hypotheses, best first."""


class RepeatedSearch(Search, RowSearch, Protocol):
    """A search that can begin anew, with another recording."""


class HeadDecoder(Protocol):
    """Turns the network's output frames into text.

    Attributes:
        vocabulary: of the head that is decoded; what the labels of a hypothesis mean.
        scoring_vocabulary: by which texts and references are normalized before they are compared.
    """

    vocabulary: Vocabulary
    scoring_vocabulary: Vocabulary

    @property
    def first_pass(self) -> HeadDecoder:
        """The decoder without a second pass, for speech that goes on."""

    def search(self, frames: np.ndarray, lengths: np.ndarray) -> list[list[Hypothesis]]:
        """Return the n best hypotheses, best first, of each utterance of padded frames (N, T, D), lengths (N,)."""

    def start(self, pool: Executor | None = None) -> Search:
        """Begin a search over one recording, parts of which threads of the ``pool`` may search at the same time."""

    def words(self, hypothesis: Hypothesis) -> list[tuple[str, int, int]]:
        """Return the words of a hypothesis (of phones: every phone): (text, first label, last label + 1)."""

    def confidence(self, hypothesis: Hypothesis) -> list[float]:
        """Return the probability, calibrated if the decoder is, that each of `words` is right."""

    def evidence(self, hypothesis: Hypothesis) -> np.ndarray:
        """Return what each of `words` is judged by, (words, K): `asr.metrics.calibration.collect_evidence`."""

    def text(self, hypothesis: Hypothesis) -> str:
        """Return the text of a hypothesis."""


class BaseDecoder:
    """Words, text and confidences of hypotheses over one vocabulary: what decoders share.

    Args:
        vocabulary: of the head that is decoded; also the ``scoring_vocabulary``.
        calibration: slope and offset of `asr.metrics.calibration.calibrate` for the words' confidences, and the factors
            for their certainty and for the words nearby, if these count; None: leave them as they are.

    Raises:
        InputError: ``calibration`` is not two to four numbers.
    """

    def __init__(self, vocabulary: Vocabulary, *, calibration: Sequence[float] | None = None) -> None:
        if calibration is not None and not 2 <= len(calibration) <= 4:
            raise InputError(f"calibration={list(calibration)}: expected a slope, an offset and up to two factors")
        self.vocabulary = vocabulary
        self.scoring_vocabulary = vocabulary
        self.calibration = calibration

    @property
    def first_pass(self: Decoder) -> Decoder:
        """The decoder without a second pass: itself, where there is none."""
        return self

    def words(self, hypothesis: Hypothesis) -> list[tuple[str, int, int]]:
        """Return the words of a hypothesis (of phones: every phone): (text, first label, last label + 1)."""
        return self.vocabulary.words(hypothesis.labels)

    def confidence(self, hypothesis: Hypothesis) -> list[float]:
        """Return the calibrated probability that each of `words` is right.

        Before calibration it is the product of the confidences of the word's labels, as if these were independent.
        (Measured on dev of recipes/english, expected calibration error of words: 0.157; of their labels' mean 0.462.)
        Labels of a beam search have a low one where models made it pass over what the network recognizes, see
        `asr.decoding.ctc.alignment.align_hypothesis`.
        """
        if self.calibration is None:
            return self._products(hypothesis)
        return calibrate(self.evidence(hypothesis), self.calibration).tolist()

    def evidence(self, hypothesis: Hypothesis) -> np.ndarray:
        """Return what each of `words` is judged by, (words, K): `asr.metrics.calibration.collect_evidence`."""
        products = self._products(hypothesis)
        if len(hypothesis.certainty) != len(hypothesis.labels):
            return collect_evidence(products)
        words = [(first, end) for _, first, end in self.words(hypothesis)]
        certainty = [float(np.mean(hypothesis.certainty[first:end])) for first, end in words]
        spans = [(hypothesis.frames[first][0], hypothesis.frames[end - 1][1]) for first, end in words]
        return collect_evidence(products, certainty, spans)

    def _products(self, hypothesis: Hypothesis) -> list[float]:
        return [float(np.prod(hypothesis.confidence[first:end])) for _, first, end in self.words(hypothesis)]

    def text(self, hypothesis: Hypothesis) -> str:
        """Return the text of a hypothesis: its words with single spaces between them."""
        return " ".join(word for word, _, _ in self.words(hypothesis))


def check_lexicon(vocabulary: Vocabulary, given: bool) -> None:
    """Raise InputError if a head of phones has no pronunciation dictionary, or another head is given one."""
    if vocabulary.kind == "phones" and not given:
        raise InputError("words from a head of phones need a pronunciation dictionary: give lexicon or pronouncer")
    if vocabulary.kind != "phones" and given:
        raise InputError(
            f"a pronunciation dictionary (lexicon, pronouncer) is for a head of phones; "
            f"this head's vocabulary is of kind {vocabulary.kind}"
        )


def check_scores(log_probs: np.ndarray, lengths: np.ndarray, vocabulary: Vocabulary) -> None:
    """Raise InputError unless scores (N, T, V), lengths (N,) are natural-log probabilities of a vocabulary's labels."""
    log_probs, lengths = check_batch(log_probs, lengths, vocabulary.blank)
    if log_probs.shape[2] != len(vocabulary):
        raise InputError(f"scores have {log_probs.shape[2]} labels, the vocabulary has {len(vocabulary)}")
    for row, (scores, length) in enumerate(zip(log_probs, lengths, strict=True)):
        try:
            check_log_probs(scores[:length], len(vocabulary))
        except InputError as error:
            raise InputError(f"utterance {row}: {error}") from error
