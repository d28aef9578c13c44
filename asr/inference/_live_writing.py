"""Write words as readable text while they are recognized; what is written once stays as it is."""

from __future__ import annotations

from collections.abc import Sequence

from asr.output.transcript import Word
from asr.output.writing import Writer

CONTEXT_WORDS = 40  # written before, by whose pauses others are judged
REACH = 2  # words behind one that the mark behind it depends on


class LiveWriter:
    """Writes committed words by a `Writer`.

    The mark behind a word depends on the words after it. So the last words wait until others, committed or partial,
    are known, or until a stretch of speech ends.

    Args:
        writer: from bare words to readable text; None: words stay as they are.
    """

    def __init__(self, writer: Writer | None) -> None:
        self.writer = writer
        self._context: list[Word] = []  # bare words that were written
        self._marks: list[str] = []  # behind them
        self._waiting: list[Word] = []  # bare words that are committed, but not written

    def commit(
        self, words: Sequence[Word], partial: Sequence[Word], is_end: bool
    ) -> tuple[tuple[Word, ...], tuple[Word, ...]]:
        """Take the next committed words.

        Args:
            words: bare words.
            partial: the words after them, which may change.
            is_end: whether a stretch of speech ends with ``words``.

        Returns:
            Words as they are written from now on, and the bare words that they stand for.
        """
        self._waiting += words
        if self.writer is None:
            written, self._waiting = tuple(self._waiting), []
            return written, written
        if not self._waiting:
            return (), ()
        first, last = len(self._context), len(self._context) + len(self._waiting)
        known = [*self._context, *self._waiting, *partial]
        done: list[Word] = []
        at = count = 0
        marks: list[str] = []
        for word, size, mark in self.writer.write(known, is_end, self._marks):
            at += size
            if at <= first:
                continue
            if at > last or (at + REACH > len(known) and not is_end):
                break
            done.append(word)
            marks += [""] * (size - 1) + [mark]
            count = at - first
        spoken, self._waiting = self._waiting[:count], self._waiting[count:]
        self._context = [*self._context, *spoken][-CONTEXT_WORDS:]
        self._marks = [*self._marks, *marks][-CONTEXT_WORDS:]
        return tuple(done), tuple(spoken)

    def partial(self, words: Sequence[Word]) -> tuple[Word, ...]:
        """Return the words that are not written yet, and the ``words`` behind them, as they would be written now."""
        if self.writer is None:
            return tuple(words)
        at = 0
        found = []
        for word, size, _ in self.writer.write([*self._context, *self._waiting, *words], False, self._marks):
            at += size
            if at > len(self._context):
                found.append(word)
        return tuple(found)
