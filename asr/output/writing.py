"""From recognized words to readable text: punctuation, letter case, digits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

from asr.output.transcript import Transcript, Word
from asr.text.digits import Number, find_numbers
from asr.text.punctuation import Punctuator

# by the value of ``writing.numbers`` of a model: what finds the numbers among words in small letters
NUMBERS: Mapping[str, Callable[[Sequence[str]], list[Number]]] = {"english": find_numbers}

# a written word, the number of bare words that it stands for, and the mark behind it
Written: TypeAlias = "tuple[Word, int, str]"


@dataclass(frozen=True)
class Writer:
    """Writes recognized words as people do.

    Attributes:
        punctuator: restores punctuation and letter case; None: they stay out.
        numbers: a key of `NUMBERS`: numbers are written with digits; None: they stay words.
    """

    punctuator: Punctuator | None = None
    numbers: str | None = None

    def words(self, words: Sequence[Word], is_final: bool = True) -> tuple[Word, ...]:
        """Return written words: marks follow their word, and a number of several words is one.

        It has the time of all of them and the lowest of their confidences. A number ends before a mark.

        Args:
            words: bare words in small letters; their times tell the pauses between them.
            is_final: whether the text ends here; the end of a part of one has no mark.
        """
        return tuple(written for written, _, _ in self.write(words, is_final))

    def write(self, words: Sequence[Word], is_final: bool = True, marks: Sequence[str] = ()) -> list[Written]:
        """Return written words as `words` does, each with the number of its bare words and the mark behind it.

        Args:
            words: see `words`.
            is_final: see `words`.
            marks: behind the first of the words, if these have been written before; the others are written to fit them,
                and a number begins after them.
        """
        spoken = [word.text for word in words]
        if self.punctuator is None:
            restored = [(text, "") for text in spoken]
        else:
            restored = self.punctuator.restore(spoken, pauses_between(words), is_final, marks)
        written: list[Written] = []
        at = 0
        for number in self._numbers(spoken, [mark for _, mark in restored], len(marks)):
            written += map(_written, words[at : number.first], restored[at : number.first])
            mark = restored[number.end - 1][1]
            merged = _merged(words[number.first : number.end], number.text, mark)
            written.append((merged, number.end - number.first, mark))
            at = number.end
        return [*written, *map(_written, words[at:], restored[at:])]

    def _numbers(self, spoken: Sequence[str], marks: Sequence[str], first: int) -> list[Number]:
        """The numbers of a text from its word ``first`` on, none of them across a mark."""
        if self.numbers is None:
            return []
        found = []
        for end in range(first + 1, len(spoken) + 1):
            if marks[end - 1] or end == len(spoken):
                part = NUMBERS[self.numbers](spoken[first:end])
                found += [Number(first + number.first, first + number.end, number.text) for number in part]
                first = end
        return found

    def transcript(self, transcript: Transcript) -> Transcript:
        """Return a transcript of bare words with written words and text; its bare ones become ``spoken``."""
        words = self.words(transcript.words)
        return replace(transcript, text=text_of(words), words=words, spoken=transcript.words)


def pauses_between(words: Sequence[Word]) -> list[float]:
    """Return the seconds between each word and the next one (N - 1,)."""
    return [max(0.0, after.start - before.end) for before, after in pairwise(words)]


def text_of(words: Sequence[Word]) -> str:
    """Return the text of words, with single spaces between them."""
    return " ".join(word.text for word in words)


def _written(word: Word, form_and_mark: tuple[str, str]) -> Written:
    return replace(word, text=_joined(*form_and_mark)), 1, form_and_mark[1]


def _joined(form: str, mark: str) -> str:
    """A form and the mark behind it; a full stop is not doubled after that of an abbreviation."""
    return form if mark == "." and form.endswith(".") else form + mark


def _merged(words: Sequence[Word], text: str, mark: str) -> Word:
    return Word(_joined(text, mark), words[0].start, words[-1].end, min(word.confidence for word in words))
