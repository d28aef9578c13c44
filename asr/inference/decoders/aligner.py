"""Forced alignment: when each word of a known text was said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from asr.decoding.ctc.alignment import align, align_hypothesis
from asr.decoding.hypothesis import Hypothesis
from asr.errors import InputError
from asr.inference.decoders.base import Search
from asr.inference.decoders.factory import lexicon_for
from asr.inference.decoders.greedy import GreedyDecoder
from asr.text import lexicon as lexicon_
from asr.text.vocabulary import Vocabulary

Variants = Sequence[tuple[int, ...]]  # of a word, as labels


class Aligner(GreedyDecoder):
    """A decoder that is told what was said: its one hypothesis is ``text`` on its best path.

    Words are what blanks part in the text, as it writes them; those of punctuation alone are left out. A head of phones
    needs a ``lexicon`` (the file of a pronouncing dictionary), or a ``pronouncer`` (the directory of a seq2seq model)
    for words that are in none. Of several pronunciations that one is taken which fits
    best where the first was found.

    Raises InputError naming words that the vocabulary cannot write, or that the dictionary does not have.
    """

    def __init__(
        self, vocabulary: Vocabulary, text: str, lexicon: str | Path | None = None, pronouncer: str | Path | None = None
    ) -> None:
        super().__init__(vocabulary)
        words = text.split()
        if vocabulary.kind == "phones":
            if lexicon is None and pronouncer is None:
                raise InputError("to align words with a head of phones a pronouncing dictionary is needed (lexicon)")
            variants = pronounced(words, vocabulary, lexicon_for(lexicon_.words(text), lexicon, pronouncer))
        else:
            if lexicon is not None or pronouncer is not None:
                raise InputError(f"a pronouncing dictionary is for a head of phones; this one writes {vocabulary.kind}")
            variants = [[tuple(vocabulary.spell(word))] for word in words]
        spoken = [(word, units) for word, units in zip(words, variants, strict=True) if units[0]]
        if not spoken:
            raise InputError("there is no word in the text")
        self.names = [word for word, _ in spoken]
        self.variants = [units for _, units in spoken]
        spaces = [label for label, token in enumerate(vocabulary.tokens) if token == " "]
        self.separator = tuple(spaces) if vocabulary.kind == "characters" else ()

    def search(self, log_probs: np.ndarray, lengths: np.ndarray) -> list[list[Hypothesis]]:
        """The text on each utterance: natural logs (N, T, V) and lengths (N,) to lists of one hypothesis."""
        return [[self.align(scores[:frames])] for scores, frames in zip(log_probs, lengths, strict=True)]

    def start(self) -> Search:
        """An alignment to one recording."""
        return _Alignment(self)

    def words(self, hypothesis: Hypothesis) -> list[tuple[str, int, int]]:
        """Words of a hypothesis as the text writes them: (text, first label, last + 1)."""
        return [(self.names[word], first, end) for word, first, end in hypothesis.words]

    def align(self, log_probs: np.ndarray) -> Hypothesis:
        """The text on scores (T, V), natural logs; InputError where it does not fit in."""
        found = self._align(log_probs, [variants[0] for variants in self.variants])
        if all(len(variants) == 1 for variants in self.variants):
            return found
        starts = [found.frames[first][0] for _, first, _ in found.words]
        ends = [found.frames[end - 1][1] for _, _, end in found.words]
        chosen = [
            best_variant(log_probs[before:behind], variants, self.vocabulary.blank)
            for variants, before, behind in zip(
                self.variants, [0, *ends[:-1]], [*starts[1:], len(log_probs)], strict=True
            )
        ]
        return self._align(log_probs, chosen)

    def _align(self, log_probs: np.ndarray, spelled: Variants) -> Hypothesis:
        edge = self.separator if self.vocabulary.boundary_spaces else ()
        labels = list(edge)
        words = []
        for number, units in enumerate(spelled):
            labels += self.separator if number else ()
            words.append((number, len(labels), len(labels) + len(units)))
            labels += units
        labels += edge
        return align_hypothesis(log_probs, labels, self.vocabulary.blank, words=words)


def best_variant(log_probs: np.ndarray, variants: Variants, blank: int) -> tuple[int, ...]:
    """The label sequence that fits scores (T, V) best; the first of them fits in."""

    def score(labels: tuple[int, ...]) -> float:
        try:
            return align(log_probs, labels, blank)[1]
        except InputError:  # more labels than frames
            return -np.inf

    return variants[0] if len(variants) == 1 else max(variants, key=score)


def pronounced(
    words: Sequence[str], vocabulary: Vocabulary, lexicon: Mapping[str, list[tuple[str, ...]]]
) -> list[Variants]:
    """Pronunciations of words as labels; InputError naming the words that have none."""
    found: list[Variants] = []
    missing: list[str] = []
    for word in words:
        plain = lexicon_.words(word)
        first, unknown = lexicon_.pronounce(word, lexicon)
        variants = lexicon[plain[0]] if len(plain) == 1 and plain[0] in lexicon else [tuple(first)]
        found.append([tuple(vocabulary.spell(" ".join(units), word)) for units in variants])
        missing += unknown
    if missing:
        some = ", ".join(dict.fromkeys(missing))
        raise InputError(f"{len(missing)} words of the text are not in the dictionary: {some[:200]}")
    return found


class _Alignment:
    """Scores as they arrive, and the text on all of them."""

    def __init__(self, aligner: Aligner) -> None:
        self.aligner = aligner
        self._heard: list[np.ndarray] = []

    @property
    def frames(self) -> int:
        return sum(map(len, self._heard))

    def feed(self, log_probs: np.ndarray) -> None:
        self._heard.append(log_probs)

    def finish(self) -> list[Hypothesis]:
        return [self.aligner.align(np.concatenate(self._heard))]
