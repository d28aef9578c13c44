"""Forced alignment: the times of the words of a known text."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor

import numpy as np

from asr.decoding.ctc._scores import check_log_probs
from asr.decoding.hypothesis import Alignment, Hypothesis
from asr.errors import InputError
from asr.inference.decoders.base import BaseDecoder, Search, check_lexicon, check_scores
from asr.inference.decoders.word_aligner import Variants, WordAligner
from asr.text import lexicon as lexicon_
from asr.text.lexicon import Lexicon
from asr.text.normalization import without_accents
from asr.text.outside import log_skipped
from asr.text.vocabulary import Vocabulary


class Aligner(BaseDecoder):
    """A decoder whose one hypothesis is a given text, on the best path through the frames.

    Words are separated by white space and keep their spelling; those of punctuation alone are left out. Of several
    pronunciations the one is chosen that fits best where the first one was aligned. Words that cannot be written with
    the labels, or have no pronunciation, get the time between their neighbors; accents that the labels lack are left
    out.

    Args:
        vocabulary: of the head that aligns.
        text: the text that is spoken.
        lexicon: pronunciations of the text's words, required for a head of phones.
        make: makes the aligner of words, by the arguments of `WordAligner`.

    Raises:
        InputError: a text without words, or of which no word can be written or pronounced, or a missing or superfluous
            lexicon.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        text: str,
        lexicon: Lexicon | None = None,
        make: Callable[..., WordAligner] = WordAligner,
    ) -> None:
        super().__init__(vocabulary)
        check_lexicon(vocabulary, lexicon is not None)
        if lexicon is None:
            log_skipped(vocabulary, [("", text)])
        spellings = [
            (
                word,
                written_labels(word, vocabulary)
                if lexicon is None
                else pronunciation_labels(word, vocabulary, lexicon),
            )
            for word in text.split()
        ]
        spaces = [label for label, token in enumerate(vocabulary.tokens) if token == " "]
        separator = tuple(spaces) if vocabulary.kind == "characters" else ()
        self._words = make(
            len(vocabulary),
            vocabulary.blank,
            spellings,
            separator=separator,
            edge=separator if vocabulary.boundary_spaces else (),
            why="cannot be written with the labels of the model"
            if lexicon is None
            else "are not in the pronunciation dictionary, or not with phones of the model",
        )
        self.variants = self._words.variants
        self.warnings = self._words.warnings

    def search(self, log_probs: np.ndarray, lengths: np.ndarray) -> list[list[Hypothesis]]:
        """Align the text to each utterance: log-probabilities (N, T, V) and lengths (N,) to lists of one hypothesis."""
        self.check_batch(log_probs, lengths)
        return [[self.align(row[:length])] for row, length in zip(log_probs, lengths, strict=True)]

    def check_batch(self, log_probs: np.ndarray, lengths: np.ndarray) -> None:
        """Raise InputError unless scores (N, T, V), lengths (N,) are natural-log probabilities of the labels."""
        check_scores(log_probs, lengths, self.vocabulary)

    def check(self, log_probs: np.ndarray, first_frame: int) -> None:
        """Raise InputError unless scores (T, V), from frame ``first_frame`` on, are natural-log probabilities."""
        check_log_probs(log_probs, len(self.vocabulary), first_frame)

    def start(self, pool: Executor | None = None) -> Search:
        """Begin an alignment to one recording."""
        return AlignmentSearch(self)

    def words(self, hypothesis: Hypothesis) -> list[tuple[str, int, int]]:
        """Return the words of a hypothesis as the text spells them: (text, first label, last label + 1)."""
        return [(self._words.names[word], first, end) for word, first, end in hypothesis.words]

    def align(self, log_probs: np.ndarray) -> Alignment:
        """Align the text to log-probabilities (T, V), natural.

        Raises:
            InputError: there are fewer frames than the text needs.
        """
        return self._words.align(np.asarray(log_probs))


class AlignmentSearch:
    """Collects the frames of one recording, and aligns an aligner's text to all of them."""

    def __init__(self, aligner: Aligner) -> None:
        self.aligner = aligner
        self._log_probs: list[np.ndarray] = []

    @property
    def frames(self) -> int:
        """Number of frames fed so far."""
        return sum(map(len, self._log_probs))

    def feed(self, frames: np.ndarray) -> None:
        """Take in the next log-probabilities (T, V), natural. Raises InputError for scores that are not."""
        self.aligner.check(frames, self.frames)
        self._log_probs.append(frames)

    def finish(self) -> list[Hypothesis]:
        """Return a list of the one hypothesis. Raises InputError as `Aligner.align` does."""
        return [self.aligner.align(np.concatenate(self._log_probs))]


def written_labels(word: str, vocabulary: Vocabulary) -> Variants | None:
    """Return the one label sequence of a word: empty for punctuation, None if it cannot be written.

    Accents that the vocabulary lacks are left out of letters that it has.
    """
    for spelling in (word, without_accents(word)):
        try:
            labels = tuple(vocabulary.spell(spelling))
        except InputError:
            continue
        if labels or not vocabulary.skipped(spelling):
            return [labels]
    return None


def pronunciation_labels(word: str, vocabulary: Vocabulary, lexicon: Lexicon) -> Variants | None:
    """Return the pronunciations of a word as label sequences: an empty one for punctuation, None if it has none."""
    plain = lexicon_.words(word)
    first, unknown = lexicon_.pronounce(word, lexicon)
    if unknown:
        return None
    variants = lexicon[plain[0]] if len(plain) == 1 and plain[0] in lexicon else [tuple(first)]
    labels: list[tuple[int, ...]] = []
    for units in variants:
        try:
            labels.append(tuple(vocabulary.spell(" ".join(units), word)))
        except InputError:  # phones that the vocabulary lacks
            continue
    return labels or None
