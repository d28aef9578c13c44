"""Forced alignment: the times of the words of a known text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from asr.decoding.ctc._scores import check_log_probs
from asr.decoding.ctc.alignment import align, align_hypothesis
from asr.decoding.hypothesis import Hypothesis
from asr.errors import InputError
from asr.inference.decoders.base import BaseDecoder, Search, check_lexicon, check_scores
from asr.text import lexicon as lexicon_
from asr.text.lexicon import Lexicon
from asr.text.vocabulary import Vocabulary, log_skipped

Variants = Sequence[tuple[int, ...]]  # the label sequences that a word may have


class Aligner(BaseDecoder):
    """A decoder whose one hypothesis is a given text, on the best path through the frames.

    Words are separated by white space and keep their spelling; those of punctuation alone are left out. Of several
    pronunciations the one is chosen that fits best where the first one was aligned.

    Args:
        vocabulary: of the head that aligns.
        text: the text that is spoken.
        lexicon: pronunciations of the text's words, required for a head of phones.

    Raises:
        InputError: words that the vocabulary cannot spell or the lexicon does not have, a text without words, or a
            missing or superfluous lexicon.
    """

    def __init__(self, vocabulary: Vocabulary, text: str, lexicon: Lexicon | None = None) -> None:
        super().__init__(vocabulary)
        check_lexicon(vocabulary, lexicon is not None)
        names = text.split()
        if lexicon is None:
            log_skipped(vocabulary, [("", text)])
        variants = (
            pronunciation_labels(names, vocabulary, lexicon)
            if lexicon is not None
            else [[tuple(vocabulary.spell(word))] for word in names]
        )
        spoken = [(word, units) for word, units in zip(names, variants, strict=True) if units[0]]
        if not spoken:
            raise InputError("there is no word in the text")
        self.names = [word for word, _ in spoken]
        self.variants = [units for _, units in spoken]
        spaces = [label for label, token in enumerate(vocabulary.tokens) if token == " "]
        self.separator = tuple(spaces) if vocabulary.kind == "characters" else ()

    def search(self, log_probs: np.ndarray, lengths: np.ndarray) -> list[list[Hypothesis]]:
        """Align the text to each utterance: log-probabilities (N, T, V) and lengths (N,) to lists of one hypothesis."""
        check_scores(log_probs, lengths, self.vocabulary)
        return [[self.align(row[:length])] for row, length in zip(log_probs, lengths, strict=True)]

    def start(self) -> Search:
        """Begin an alignment to one recording."""
        return AlignmentSearch(self)

    def words(self, hypothesis: Hypothesis) -> list[tuple[str, int, int]]:
        """Return the words of a hypothesis as the text spells them: (text, first label, last label + 1)."""
        return [(self.names[word], first, end) for word, first, end in hypothesis.words]

    def align(self, log_probs: np.ndarray) -> Hypothesis:
        """Align the text to log-probabilities (T, V), natural.

        Raises:
            InputError: there are fewer frames than the text needs.
        """
        first = self._align(log_probs, [variants[0] for variants in self.variants])
        if all(len(variants) == 1 for variants in self.variants):
            return first
        starts = [first.frames[begin][0] for _, begin, _ in first.words]
        ends = [first.frames[end - 1][1] for _, _, end in first.words]
        # of each word: from the end of the word before it to the start of the next one
        surroundings = zip([0, *ends[:-1]], [*starts[1:], len(log_probs)], strict=True)
        best = [
            best_variant(log_probs[begin:end], variants, self.vocabulary.blank)
            for variants, (begin, end) in zip(self.variants, surroundings, strict=True)
        ]
        return self._align(log_probs, best)

    def _align(self, log_probs: np.ndarray, spellings: Variants) -> Hypothesis:
        edge = self.separator if self.vocabulary.boundary_spaces else ()
        labels = list(edge)
        words = []
        for number, units in enumerate(spellings):
            labels += self.separator if number else ()
            words.append((number, len(labels), len(labels) + len(units)))
            labels += units
        labels += edge
        return align_hypothesis(log_probs, labels, self.vocabulary.blank, words=words)


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
        check_log_probs(frames, len(self.aligner.vocabulary), self.frames)
        self._log_probs.append(frames)

    def finish(self) -> list[Hypothesis]:
        """Return a list of the one hypothesis. Raises InputError as `Aligner.align` does."""
        return [self.aligner.align(np.concatenate(self._log_probs))]


def best_variant(log_probs: np.ndarray, variants: Variants, blank: int) -> tuple[int, ...]:
    """Return the label sequence with the best alignment to log-probabilities (T, V); the first if none fits in."""

    def score(labels: tuple[int, ...]) -> float:
        try:
            return align(log_probs, labels, blank)[1]
        except InputError:  # more labels than frames
            return -np.inf

    return variants[0] if len(variants) == 1 else max(variants, key=score)


def pronunciation_labels(
    words: Sequence[str], vocabulary: Vocabulary, lexicon: Mapping[str, list[tuple[str, ...]]]
) -> list[Variants]:
    """Return the pronunciations of each word as labels of ``vocabulary``.

    Raises:
        InputError: words that have none; the message names them.
    """
    labels: list[Variants] = []
    missing: list[str] = []
    for word in words:
        plain = lexicon_.words(word)
        first, unknown = lexicon_.pronounce(word, lexicon)
        variants = lexicon[plain[0]] if len(plain) == 1 and plain[0] in lexicon else [tuple(first)]
        labels.append([tuple(vocabulary.spell(" ".join(units), word)) for units in variants])
        missing += unknown
    if missing:
        some = ", ".join(dict.fromkeys(missing))
        raise InputError(f"{len(missing)} words of the text are not in the pronunciation dictionary: {some[:200]}")
    return labels
