"""Forced alignment of words, each of which may have several label sequences, to scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from rapidfuzz.distance import Levenshtein

from asr.decoding.ctc.alignment import align, align_hypothesis
from asr.decoding.hypothesis import Alignment, Hypothesis
from asr.errors import InputError

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


class WordAligner:
    """Aligns words to scores on the best path through the frames.

    Of several label sequences of a word the one is chosen that fits best where the first one was aligned. Words without
    any get the time between their neighbors.

    Args:
        num_labels: size of the vocabulary, blank included.
        blank: label of blank.
        spellings: words with their label sequences: None of a word that cannot be written. Those whose only sequence is
            empty, as of punctuation, are left out.
        separator: labels between two words.
        edge: labels before the first and after the last word.
        why: why some words cannot be written, for messages.

    Raises:
        InputError: there is no word, or none that can be written.

    Attributes:
        names: the words that are aligned.
        warnings: which words cannot be written.
    """

    def __init__(
        self,
        num_labels: int,
        blank: int,
        spellings: Sequence[tuple[str, Variants | None]],
        *,
        separator: tuple[int, ...] = (),
        edge: tuple[int, ...] = (),
        why: str = "cannot be written with the labels of the model",
    ) -> None:
        self.num_labels = num_labels
        self.blank = blank
        self.separator = separator
        self.edge = edge
        self.wildcard = num_labels  # label of a word that cannot be written: any speech
        spoken = [(word, [(self.wildcard,)] if units is None else units) for word, units in spellings if units != [()]]
        if not spoken:
            raise InputError("there is no word in the text")
        self.names = [word for word, _ in spoken]
        self.variants: list[Variants] = [units for _, units in spoken]
        self.is_wild = [units == [(self.wildcard,)] for units in self.variants]
        missing = list(dict.fromkeys(name for name, wild in zip(self.names, self.is_wild, strict=True) if wild))
        self.warnings: tuple[str, ...] = ()
        if missing:
            some = ", ".join(map(repr, missing[:MAX_NAMED])) + (" …" if len(missing) > MAX_NAMED else "")
            if all(self.is_wild):
                raise InputError(f"the words of the text {why}: {some}")
            self.warnings = (f"{len(missing)} words {why}; they get the time between their neighbors: {some}",)

    def align(self, log_probs: np.ndarray) -> Alignment:
        """Align the words to log-probabilities (T, V), natural.

        Raises:
            InputError: there are fewer frames than the text needs.
        """
        scores = np.asarray(log_probs)
        if any(self.is_wild):
            scores = self._with_wildcard(scores)
        hypothesis = self._align(scores, [variants[0] for variants in self.variants])
        if any(len(variants) > 1 for variants in self.variants):
            hypothesis = self._align(scores, self._best_variants(scores, hypothesis))
        fits, doubts = self._assess(scores, hypothesis)
        hypothesis = self._between_neighbors(hypothesis)
        fields = {field: getattr(hypothesis, field) for field in ("labels", "score", "frames", "confidence", "words")}
        return Alignment(**fields, fits=fits, warnings=(*self.warnings, *doubts))

    def _with_wildcard(self, log_probs: np.ndarray) -> np.ndarray:
        """Return log-probabilities (T, V + 1) with those of any label but blank, at the end."""
        speech = np.log(np.maximum(-np.expm1(np.minimum(log_probs[:, self.blank], 0.0)), 1e-12))
        return np.concatenate([log_probs, speech[:, None].astype(log_probs.dtype)], axis=1)

    def _surroundings(self, hypothesis: Hypothesis, frames: int) -> list[tuple[int, int]]:
        """Return the frames around each word: from the end of the word before it to the start of the next one."""
        starts = [hypothesis.frames[begin][0] for _, begin, _ in hypothesis.words]
        ends = [hypothesis.frames[end - 1][1] for _, _, end in hypothesis.words]
        return list(zip([0, *ends[:-1]], [*starts[1:], frames], strict=True))

    def _best_variants(self, log_probs: np.ndarray, hypothesis: Hypothesis) -> list[tuple[int, ...]]:
        """Choose the label sequence of each word that fits best where the first one was aligned."""
        surroundings = self._surroundings(hypothesis, len(log_probs))
        return [
            best_variant(log_probs[begin:end], variants, self.blank)
            for variants, (begin, end) in zip(self.variants, surroundings, strict=True)
        ]

    def _labels(self, spellings: Variants) -> tuple[list[int], list[tuple[int, int, int]]]:
        """Return the labels of all words, given those of each, and the words as in `Hypothesis`."""
        labels = list(self.edge)
        words = []
        for number, units in enumerate(spellings):
            # a word that cannot be written takes up the separators beside it
            if number and not (self.is_wild[number] or self.is_wild[number - 1]):
                labels += self.separator
            words.append((number, len(labels), len(labels) + len(units)))
            labels += units
        labels += self.edge
        return labels, words

    def _align(self, log_probs: np.ndarray, spellings: Variants) -> Hypothesis:
        labels, words = self._labels(spellings)
        return align_hypothesis(log_probs, labels, self.blank, words=words)

    def _assess(self, log_probs: np.ndarray, hypothesis: Hypothesis) -> tuple[bool, list[str]]:
        """Whether the text fits frames (T, V), and a warning if not or if words do not."""
        behind, different = self._compare(log_probs, hypothesis)
        fits = behind + EDIT_NATS * different <= MAX_MISFIT
        warnings = []
        if not fits:
            warnings.append(
                f"the text does not fit the recording: {100 * different:.0f} % of the labels differ from what is "
                f"recognized, which is more probable by {behind:.1f} nats a label"
            )
        gaps = self._label_gaps(log_probs, hypothesis)
        doubtful = [
            number
            for number, first, end in hypothesis.words
            if not self.is_wild[number] and end - first >= MIN_LABELS and gaps[first:end].mean() < -MAX_WORD_BEHIND
        ]
        if doubtful:
            some = ", ".join(repr(self.names[number]) for number in doubtful[:MAX_NAMED])
            some += " …" if len(doubtful) > MAX_NAMED else ""
            warnings.append(f"{len(doubtful)} words do not fit the recording where they were aligned: {some}")
        return fits, warnings

    def _compare(self, log_probs: np.ndarray, hypothesis: Hypothesis) -> tuple[float, float]:
        """Return by how many nats a label the text is less probable than what is recognized, and how it differs.

        The difference is the share of labels that would have to be changed.
        """
        labels = np.array(hypothesis.labels)
        free = log_probs[:, : self.num_labels].max(1) if len(log_probs) else np.zeros(0)
        path = log_probs[:, : self.num_labels].argmax(1)
        is_start = np.concatenate([[True], path[1:] != path[:-1]]) if len(path) else np.zeros(0, dtype=bool)
        is_start &= path != self.blank
        for label, (begin, stop) in zip(hypothesis.labels, hypothesis.frames, strict=True):
            if label == self.wildcard:  # what is recognized there cannot be compared
                is_start[begin:stop] = False
        recognized, expected = path[is_start].tolist(), labels[labels != self.wildcard].tolist()
        longest = max(len(recognized), len(expected), 1)
        behind = (float(free.sum(dtype=np.float64)) - hypothesis.score) / longest
        return behind, Levenshtein.distance(expected, recognized) / longest

    def _label_gaps(self, log_probs: np.ndarray, hypothesis: Hypothesis) -> np.ndarray:
        """Return by how many nats (L,) each label is more probable than the most probable one, at its best frame."""
        free = log_probs[:, : self.num_labels].max(1) if len(log_probs) else np.zeros(0)
        gaps = [
            (log_probs[begin:stop, label] - free[begin:stop]).max()
            for label, (begin, stop) in zip(hypothesis.labels, hypothesis.frames, strict=True)
        ]
        return np.array(gaps)

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


def best_variant(log_probs: np.ndarray, variants: Variants, blank: int) -> tuple[int, ...]:
    """Return the label sequence with the best alignment to log-probabilities (T, V); the first if none fits in."""

    def score(labels: tuple[int, ...]) -> float:
        try:
            return align(log_probs, labels, blank)[1]
        except InputError:  # more labels than frames
            return -np.inf

    return variants[0] if len(variants) == 1 else max(variants, key=score)
