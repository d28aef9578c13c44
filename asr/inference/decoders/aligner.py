"""Forced alignment: the times of the words of a known text."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace

import numpy as np
from rapidfuzz.distance import Levenshtein

from asr.decoding.ctc._scores import check_log_probs
from asr.decoding.ctc.alignment import align, align_hypothesis
from asr.decoding.hypothesis import Alignment, Hypothesis
from asr.errors import InputError
from asr.inference.decoders.base import BaseDecoder, Search, check_lexicon, check_scores
from asr.text import lexicon as lexicon_
from asr.text.lexicon import Lexicon
from asr.text.normalization import without_accents
from asr.text.outside import log_skipped
from asr.text.vocabulary import Vocabulary

MAX_NAMED = 10  # words named in a message
# Misfit of a text: the nats a label by which it is less probable than the best path, plus EDIT_NATS times the share of
# labels that differ from those of that path. Of 235 utterances of LibriSpeech dev and a weak model (recipes/english, a
# word error rate of 74 %) all are below 3.5 by characters and 2.8 by phones; with another utterance's text all are
# above 4.4 and 5.8, with half of their own text 86 and 97 % are above the limit, with their words in reverse 99 %.
# A model with a word error rate above 50 % on other speech had one of 40 utterances above 3.7.
EDIT_NATS = 3.0
MAX_MISFIT = 3.7
# Nats a label of a word, at the best frame of each: 0.2 % of the words by characters and none by phones are above it,
# where one word of each utterance was replaced by another in 63 and 73 % of the utterances.
MAX_WORD_BEHIND = 5.0
MIN_LABELS = 3  # of a word that is judged by itself

Variants = Sequence[tuple[int, ...]]  # the label sequences that a word may have


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

    Raises:
        InputError: a text without words, or of which no word can be written or pronounced, or a missing or superfluous
            lexicon.
    """

    def __init__(self, vocabulary: Vocabulary, text: str, lexicon: Lexicon | None = None) -> None:
        super().__init__(vocabulary)
        check_lexicon(vocabulary, lexicon is not None)
        self.wildcard = len(vocabulary)  # label of a word that cannot be written: any speech
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
        spoken = [(word, [(self.wildcard,)] if units is None else units) for word, units in spellings if units != [()]]
        if not spoken:
            raise InputError("there is no word in the text")
        self.names = [word for word, _ in spoken]
        self.variants: list[Variants] = [units for _, units in spoken]
        self.is_wild = [units == [(self.wildcard,)] for units in self.variants]
        missing = list(dict.fromkeys(name for name, wild in zip(self.names, self.is_wild, strict=True) if wild))
        self.warnings: tuple[str, ...] = ()
        if missing:
            why = (
                "cannot be written with the labels of the model"
                if lexicon is None
                else "are not in the pronunciation dictionary, or not with phones of the model"
            )
            some = ", ".join(map(repr, missing[:MAX_NAMED])) + (" …" if len(missing) > MAX_NAMED else "")
            if all(self.is_wild):
                raise InputError(f"the words of the text {why}: {some}")
            self.warnings = (f"{len(missing)} words {why}; they get the time between their neighbors: {some}",)
        spaces = [label for label, token in enumerate(vocabulary.tokens) if token == " "]
        self.separator = tuple(spaces) if vocabulary.kind == "characters" else ()

    def search(self, log_probs: np.ndarray, lengths: np.ndarray) -> list[list[Hypothesis]]:
        """Align the text to each utterance: log-probabilities (N, T, V) and lengths (N,) to lists of one hypothesis."""
        check_scores(log_probs, lengths, self.vocabulary)
        return [[self.align(row[:length])] for row, length in zip(log_probs, lengths, strict=True)]

    def start(self, pool: Executor | None = None) -> Search:
        """Begin an alignment to one recording."""
        return AlignmentSearch(self)

    def words(self, hypothesis: Hypothesis) -> list[tuple[str, int, int]]:
        """Return the words of a hypothesis as the text spells them: (text, first label, last label + 1)."""
        return [(self.names[word], first, end) for word, first, end in hypothesis.words]

    def align(self, log_probs: np.ndarray) -> Alignment:
        """Align the text to log-probabilities (T, V), natural.

        Raises:
            InputError: there are fewer frames than the text needs.
        """
        scores = np.asarray(log_probs)
        if any(self.is_wild):
            scores = self._with_wildcard(scores)
        hypothesis = self._align(scores, [variants[0] for variants in self.variants])
        if any(len(variants) > 1 for variants in self.variants):
            starts = [hypothesis.frames[begin][0] for _, begin, _ in hypothesis.words]
            ends = [hypothesis.frames[end - 1][1] for _, _, end in hypothesis.words]
            # of each word: from the end of the word before it to the start of the next one
            surroundings = zip([0, *ends[:-1]], [*starts[1:], len(scores)], strict=True)
            best = [
                best_variant(scores[begin:end], variants, self.vocabulary.blank)
                for variants, (begin, end) in zip(self.variants, surroundings, strict=True)
            ]
            hypothesis = self._align(scores, best)
        fits, doubts = self._assess(scores, hypothesis)
        hypothesis = self._between_neighbors(hypothesis)
        fields = {field: getattr(hypothesis, field) for field in ("labels", "score", "frames", "confidence", "words")}
        return Alignment(**fields, fits=fits, warnings=(*self.warnings, *doubts))

    def _with_wildcard(self, log_probs: np.ndarray) -> np.ndarray:
        """Return log-probabilities (T, V + 1) with those of any label but blank, at the end."""
        speech = np.log(np.maximum(-np.expm1(np.minimum(log_probs[:, self.vocabulary.blank], 0.0)), 1e-12))
        return np.concatenate([log_probs, speech[:, None].astype(log_probs.dtype)], axis=1)

    def _align(self, log_probs: np.ndarray, spellings: Variants) -> Hypothesis:
        edge = self.separator if self.vocabulary.boundary_spaces else ()
        labels = list(edge)
        words = []
        for number, units in enumerate(spellings):
            # a word that cannot be written takes up the separators beside it
            if number and not (self.is_wild[number] or self.is_wild[number - 1]):
                labels += self.separator
            words.append((number, len(labels), len(labels) + len(units)))
            labels += units
        labels += edge
        return align_hypothesis(log_probs, labels, self.vocabulary.blank, words=words)

    def _assess(self, log_probs: np.ndarray, hypothesis: Hypothesis) -> tuple[bool, list[str]]:
        """Whether the text fits frames (T, V), and a warning if not or if words do not."""
        labels = np.array(hypothesis.labels)
        free = log_probs[:, : len(self.vocabulary)].max(1) if len(log_probs) else np.zeros(0)
        path = log_probs[:, : len(self.vocabulary)].argmax(1)
        is_start = np.concatenate([[True], path[1:] != path[:-1]]) if len(path) else np.zeros(0, dtype=bool)
        is_start &= path != self.vocabulary.blank
        for label, (begin, stop) in zip(hypothesis.labels, hypothesis.frames, strict=True):
            if label == self.wildcard:  # what is recognized there cannot be compared
                is_start[begin:stop] = False
        recognized, expected = path[is_start].tolist(), labels[labels != self.wildcard].tolist()
        longest = max(len(recognized), len(expected), 1)
        behind = (float(free.sum(dtype=np.float64)) - hypothesis.score) / longest
        different = Levenshtein.distance(expected, recognized) / longest
        fits = behind + EDIT_NATS * different <= MAX_MISFIT
        warnings = []
        if not fits:
            warnings.append(
                f"the text does not fit the recording: {100 * different:.0f} % of the labels differ from what is "
                f"recognized, which is more probable by {behind:.1f} nats a label"
            )
        doubtful = []
        for number, first, end in hypothesis.words:
            if self.is_wild[number] or end - first < MIN_LABELS:
                continue
            gaps = [
                (log_probs[begin:stop, label] - free[begin:stop]).max()
                for label, (begin, stop) in zip(labels[first:end], hypothesis.frames[first:end], strict=True)
            ]
            if np.mean(gaps) < -MAX_WORD_BEHIND:
                doubtful.append(number)
        if doubtful:
            some = ", ".join(repr(self.names[number]) for number in doubtful[:MAX_NAMED])
            some += " …" if len(doubtful) > MAX_NAMED else ""
            warnings.append(f"{len(doubtful)} words do not fit the recording where they were aligned: {some}")
        return fits, warnings

    def _between_neighbors(self, hypothesis: Hypothesis) -> Hypothesis:
        """Give words that cannot be written, one after another or alone, the frames between their neighbors."""
        frames, confidence = list(hypothesis.frames), list(hypothesis.confidence)
        wild = [label == self.wildcard for label in hypothesis.labels]
        first = 0
        while first < len(wild):
            end = first
            while end < len(wild) and wild[end]:
                end += 1
            if end > first:
                begin = frames[first - 1][1] if first else frames[first][0]
                stop = frames[end][0] if end < len(wild) else frames[end - 1][1]
                edges = np.linspace(begin, stop, end - first + 1).astype(int).tolist()
                for at in range(first, end):
                    frames[at], confidence[at] = (edges[at - first], edges[at - first + 1]), 0.0
            first = end + 1
        return replace(hypothesis, frames=tuple(frames), confidence=tuple(confidence))


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
