"""Readable text of words that come one after another: what is written stays, and fits what is written later."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.inference._live_writing import LiveWriter
from asr.output.transcript import Word
from asr.output.writing import Writer, text_of


class Rule:
    """A stand-in for a punctuator: a stop before "then", whose place depends on two words; capitals behind stops."""

    def restore(
        self, words: list[str], pauses: list[float], is_final: bool = True, known: Sequence[str] = ()
    ) -> list[tuple[str, str]]:
        marks = ["." if "then" in words[i + 1 : i + 3] else "" for i in range(len(words))]
        if words:
            marks[-1] = "." if is_final else ""
        marks[: len(known)] = known
        begins = [True, *(mark == "." for mark in marks)]
        return [
            (word.capitalize() if begin else word, mark)
            for word, begin, mark in zip(words, begins, marks, strict=False)
        ]


def spoken(text: str, at: float = 0.0) -> list[Word]:
    return [Word(word, at + number, at + number + 0.5, 0.9) for number, word in enumerate(text.split())]


def writer(**options: Any) -> LiveWriter:
    rule: Any = Rule()
    return LiveWriter(Writer(rule, **options))


def test_a_word_waits_for_the_two_behind_it() -> None:
    live = writer()
    words = spoken("we saw it then we left")
    assert live.commit(words[:2], [], False) == ((), ())
    assert text_of(live.partial([])) == "We saw"
    written, bare = live.commit([], words[2:4], False)  # partial words are known, too
    assert text_of(written) == "We saw." and text_of(bare) == "we saw"
    assert text_of(live.partial(words[2:4])) == "It. Then"
    assert text_of(live.commit(words[2:4], words[4:], False)[0]) == "It. Then"
    assert text_of(live.commit(words[4:], [], True)[0]) == "we left."
    assert text_of(live.partial(spoken("so", 9.0))) == "So"


def test_what_was_written_stays_where_other_words_would_have_changed_it() -> None:
    live = writer()
    words = spoken("we saw it")
    assert text_of(live.commit(words[:1], spoken("saw now", 1.0), False)[0]) == "We"
    assert text_of(live.commit([words[1]], spoken("then then", 2.0), True)[0]) == "saw."
    # the first mark would be a stop now, and "saw" would have a capital letter
    assert text_of(live.commit(spoken("then", 3.0), [], True)[0]) == "Then."


def test_numbers_are_not_divided() -> None:
    live = writer(numbers="english")
    words = spoken("we saw twenty three men")
    assert text_of(live.commit(words[:3], words[3:], False)[0]) == "We saw"
    assert text_of(live.partial(words[3:])) == "23 men"
    written, bare = live.commit(words[3:], [], True)
    assert text_of(written) == "23 men." and text_of(bare) == "twenty three men"


@pytest.mark.parametrize("options", [{}, {"numbers": "english"}])
@given(
    words=st.lists(st.sampled_from(["we", "saw", "then", "twenty", "three", "hundred"]), max_size=80),
    cuts=st.lists(st.integers(0, 3), max_size=80),
)
@settings(max_examples=60, deadline=None)
def test_nothing_is_lost_or_written_twice(options: dict[str, Any], words: list[str], cuts: list[int]) -> None:
    live = writer(**options)
    rest = spoken(" ".join(words))
    written: list[Word] = []
    bare: list[Word] = []
    while rest:
        size = cuts.pop() if cuts else len(rest)
        new, rest = rest[:size], rest[size:]
        parts = live.commit(new, rest[:2], not rest)
        written += parts[0]
        bare += parts[1]
    assert bare == spoken(" ".join(words))
    assert all(before.end <= after.start for before, after in pairwise(written))
    if not options:
        assert [word.text.rstrip(".").lower() for word in written] == words


def test_without_a_writer_words_stay() -> None:
    live = LiveWriter(None)
    words = spoken("we saw")
    assert live.commit(words, [], False) == (tuple(words), tuple(words))
    assert live.partial(words) == tuple(words)
