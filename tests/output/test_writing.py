from __future__ import annotations

import itertools
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from asr.output.formats import FORMATS, render
from asr.output.transcript import Transcript, Word, close_gaps
from asr.output.writing import Writer, text_of


class Rule:
    """A stand-in for a punctuator: a full stop at pauses of a second, and capitals behind them."""

    def restore(
        self, words: list[str], pauses: list[float], is_final: bool = True, known: list[str] | tuple[()] = ()
    ) -> list[tuple[str, str]]:
        marks = ["." if pause >= 1 else "" for pause in pauses] + ["." if is_final else ""] * bool(words)
        marks[: len(known)] = known
        begins = [True, *(bool(mark) for mark in marks)][: len(words)]
        forms = [word.capitalize() if begin else word for word, begin in zip(words, begins, strict=True)]
        return list(zip(["Mr." if word.lower() == "mister" else word for word in forms], marks, strict=True))


def spoken(text: str, pause_behind: dict[int, float] | None = None) -> tuple[Word, ...]:
    words, at = [], 0.0
    for number, word in enumerate(text.split()):
        words.append(Word(word, round(at, 3), round(at + 0.3, 3), 1 - number / 100))
        at += 0.4 + (pause_behind or {}).get(number, 0.0)
    return tuple(words)


VOCABULARY = "we twenty three hundred nineteen and oh one five percent dollars point mister"
WRITER = Writer(Rule(), "english")  # type: ignore[arg-type]
WORDS = spoken("we saw twenty three men in nineteen eighty four they left", {8: 1.0})
TRANSCRIPT = WRITER.transcript(Transcript(text_of(WORDS), WORDS, 9.0, 0.9, source="a.wav"))


def test_words_and_text_agree() -> None:
    assert TRANSCRIPT.text == "We saw 23 men in 1984. They left."
    assert [word.text for word in TRANSCRIPT.words] == TRANSCRIPT.text.split()
    number = TRANSCRIPT.words[2]
    assert (number.start, number.end, number.confidence) == (WORDS[2].start, WORDS[3].end, WORDS[3].confidence)
    assert TRANSCRIPT.spoken == WORDS and TRANSCRIPT.confidence == 0.9
    assert TRANSCRIPT.plain == Transcript(text_of(WORDS), WORDS, 9.0, 0.9, source="a.wav")
    assert TRANSCRIPT.plain.plain == TRANSCRIPT.plain


def test_a_number_ends_at_a_mark() -> None:
    written = WRITER.words(spoken("it was twenty three came", {2: 1.0}))
    assert text_of(written) == "It was 20. Three came."


def test_digits_alone_and_punctuation_alone() -> None:
    assert text_of(Writer(None, "english").words(WORDS)) == "we saw 23 men in 1984 they left"
    assert text_of(Writer(Rule()).words(WORDS)) == (  # type: ignore[arg-type]
        "We saw twenty three men in nineteen eighty four. They left."
    )
    assert text_of(Writer().words(WORDS)) == text_of(WORDS)


def test_an_abbreviation_keeps_one_full_stop() -> None:
    assert text_of(WRITER.words(spoken("mister"))) == "Mr."


def test_a_part_of_a_text_ends_without_a_mark() -> None:
    assert text_of(WRITER.words(WORDS, is_final=False)) == "We saw 23 men in 1984. They left"


def test_formats_agree_and_ctm_stays_plain() -> None:
    for format in ("txt", "srt", "vtt", "tsv"):
        assert "We saw 23 men in 1984." in render(TRANSCRIPT, format), format
    assert '"1984."' in render(TRANSCRIPT, "TextGrid")
    assert [line.split()[4] for line in render(TRANSCRIPT, "ctm").splitlines()] == [word.text for word in WORDS]
    found = json.loads(render(TRANSCRIPT, "json"))
    assert found["text"] == TRANSCRIPT.text and [w["text"] for w in found["words"]] == TRANSCRIPT.text.split()
    assert [w["text"] for w in found["spoken"]] == [word.text for word in WORDS]
    assert "spoken" not in json.loads(render(TRANSCRIPT.plain, "json"))


def test_gaps_of_the_bare_words_are_closed_too() -> None:
    closed = close_gaps(TRANSCRIPT, 0.2)
    assert closed.spoken[0].end == closed.spoken[1].start == closed.words[0].end


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(VOCABULARY.split())),
    st.lists(st.sampled_from([0.0, 2.0]), min_size=40, max_size=40),
)
def test_times_and_words_are_whole(words: list[str], pauses: list[float]) -> None:
    plain = spoken(" ".join(words), dict(enumerate(pauses)))
    written = WRITER.words(plain)
    assert sum(len(word.text.split()) > 1 for word in written) == sum(" million" in word.text for word in written)
    assert [word.start for word in written[:1]] == [word.start for word in plain[:1]]
    assert [word.end for word in written[-1:]] == [word.end for word in plain[-1:]]
    assert all(a.end <= b.start for a, b in itertools.pairwise(written))
    starts = {word.start for word in plain}
    assert {word.start for word in written} <= starts
    for format in FORMATS:
        render(WRITER.transcript(Transcript(" ".join(words), plain, 200.0, source="a")), format)
