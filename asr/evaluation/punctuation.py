"""Scores of restored punctuation and letter case, on prose and on recognized speech."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from rapidfuzz.distance import Levenshtein

from asr.text.punctuated import COMMA, MARKS, NONE, QUESTION, STOP, PunctuatedWord
from asr.text.punctuation import Punctuator


@dataclass(frozen=True)
class PunctuatedSpeech:
    """Words with the punctuation that they should have.

    Attributes:
        words: see `PunctuatedWord`; their last one ends a sentence.
        pauses: seconds between each word and the next one (N - 1,); None: unknown.
    """

    words: Sequence[PunctuatedWord]
    pauses: Sequence[float] | None = None


def project(reference: Sequence[PunctuatedWord], words: Sequence[str]) -> list[PunctuatedWord]:
    """Return recognized words with the punctuation of the text that was read.

    The two are aligned with the fewest edits. A mark behind a word that was not recognized goes to the word before it;
    nothing is known of the case of a word that is another one in the text.
    """
    projected = [PunctuatedWord(word, word, NONE, begins=True) for word in words]

    def put(mark: int, at: int) -> None:
        if at >= 0 and mark > projected[at].mark:
            projected[at] = replace(projected[at], mark=mark)

    for edit in Levenshtein.opcodes([word.word for word in reference], list(words)):
        if edit.tag == "equal":
            projected[edit.dest_start : edit.dest_end] = reference[edit.src_start : edit.src_end]
        elif edit.tag != "insert":
            for k in range(edit.src_start, edit.src_end):
                in_place = edit.dest_start + k - edit.src_start
                put(
                    reference[k].mark,
                    min(in_place, edit.dest_end - 1) if edit.tag == "replace" else edit.dest_start - 1,
                )
    return projected


@dataclass
class PunctuationScores:
    """Counts of decisions: of each mark, of capitals within sentences, and of words.

    Attributes:
        marks: (4, 4) gaps by their mark in the text and the restored one.
        capitals: (2, 2) words within sentences by whether they have a capital in the text, and when restored.
        words: number of words, without those in capitals.
        right: of these, the words whose restored form is that of the text.
        bare: those whose bare form is.
    """

    marks: np.ndarray = field(default_factory=lambda: np.zeros((4, 4), int))
    capitals: np.ndarray = field(default_factory=lambda: np.zeros((2, 2), int))
    words: int = 0
    right: int = 0
    bare: int = 0

    def precision_recall(self, *classes: int) -> tuple[float, float, float]:
        """Return precision, recall and F1 of marks: of ``STOP, QUESTION`` whether a sentence ends there."""
        found, wanted = self.marks[:, classes].sum(), self.marks[classes, :].sum()
        right = self.marks[np.ix_(classes, classes)].sum()
        return _rates(right, found, wanted)

    def table(self) -> str:
        """Return a table in Markdown."""
        rows = [
            ("ends of sentences", *self.precision_recall(STOP, QUESTION), self.marks[[STOP, QUESTION]].sum()),
            ("question marks", *self.precision_recall(QUESTION), self.marks[QUESTION].sum()),
            ("commas", *self.precision_recall(COMMA), self.marks[COMMA].sum()),
            ("any mark", *self.precision_recall(COMMA, STOP, QUESTION), self.marks[COMMA:].sum()),
            ("capitals within sentences", *self._capitals(), self.capitals[1].sum()),
        ]
        lines = ["| | precision % | recall % | F1 % | in the text |", "| --- | --- | --- | --- | --- |"]
        lines += [f"| {name} | {100 * p:.1f} | {100 * r:.1f} | {100 * f:.1f} | {n} |" for name, p, r, f, n in rows]
        right, bare = (100 * count / max(1, self.words) for count in (self.right, self.bare))
        share = f"{right:.2f} % of {self.words} words have the letter case of the text, {bare:.2f} % of bare words"
        return "\n".join([*lines, "", share])

    def _capitals(self) -> tuple[float, float, float]:
        return _rates(self.capitals[1, 1], self.capitals[:, 1].sum(), self.capitals[1].sum())


def _rates(right: int, found: int, wanted: int) -> tuple[float, float, float]:
    return right / max(1, found), right / max(1, wanted), 2 * right / max(1, found + wanted)


def score_punctuation(punctuator: Punctuator, texts: Iterable[PunctuatedSpeech]) -> PunctuationScores:
    """Restore the punctuation of bare words and compare it with that of the text."""
    scores = PunctuationScores()
    for text in texts:
        restored = punctuator.restore([word.word for word in text.words], text.pauses)
        found = np.array([MARKS.index(mark) for _, mark in restored])
        wanted = np.array([word.mark for word in text.words])
        # the end of a text is given, and ends a sentence
        np.add.at(scores.marks, (wanted[:-1], found[:-1]), 1)
        begins = True
        for word, (form, mark) in zip(text.words, restored, strict=True):
            if not (word.form.isupper() and len(word.form) > 1):
                scores.words += 1
                scores.right += form == word.form
                scores.bare += word.word == word.form
                if not begins and not word.begins:
                    scores.capitals[int(word.form != word.word), int(form != word.word)] += 1
            begins = mark in (MARKS[STOP], MARKS[QUESTION])
    return scores
