"""Subtitle cues: limits, order and completeness for any words; where sentences, clauses and pauses make them end."""

from __future__ import annotations

import math
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import InputError
from asr.output.cues import Cue, CueLimits, make_cues, wrap
from asr.output.transcript import Transcript, Word

LIMITS = CueLimits()
TEXTS = st.text("abcdé'<>&\"", min_size=1, max_size=12)
ENDINGS = st.sampled_from(["", "", "", "", ",", ";", ".", "?", '!"', "…"])


@st.composite
def transcripts(draw: st.DrawFn, longest: int = 40) -> Transcript:
    """Words in the order of time, in whole milliseconds, some of them touching, some longer than a line or a cue."""
    words, clock = [], 0
    for text in draw(st.lists(TEXTS | st.just("x" * 45) | st.just("y" * 100), max_size=longest)):
        clock += draw(st.sampled_from([0, 0, 0, 5, 80, 300, 600, 601, 1500, 1501, 3_600_000]))
        start, clock = clock, clock + draw(st.integers(1, 900) | st.integers(1, 9000))
        words.append(Word(text + draw(ENDINGS), start / 1000, clock / 1000, 0.5))
    return Transcript(" ".join(word.text for word in words), tuple(words), (clock + draw(st.integers(0, 2000))) / 1000)


LIMIT_SETS = st.builds(
    CueLimits,
    characters=st.sampled_from([1, 10, 32, 42]),
    lines=st.integers(1, 3),
    seconds=st.sampled_from([1.0, 3.0, 7.0]),
)


def text_of(cues: list[Cue]) -> str:
    return " ".join(line for cue in cues for line in cue.lines)


def spoken(text: str, seconds_a_letter: float = 0.06, pauses: dict[str, float] | None = None) -> Transcript:
    """A transcript of a text read evenly, with pauses after some words."""
    words, clock = [], 0.0
    for word in text.split():
        start, clock = clock, clock + seconds_a_letter * (len(word) + 1)
        words.append(Word(word, round(start, 3), round(clock, 3), 1.0))
        clock += (pauses or {}).get(word, 0.0)
    return Transcript(text, tuple(words), round(clock, 3))


@settings(max_examples=150, deadline=None)
@given(transcripts(), LIMIT_SETS)
def test_cues_hold_all_words_in_order_within_the_limits(transcript: Transcript, limits: CueLimits) -> None:
    cues = make_cues(transcript, limits)
    assert text_of(cues) == transcript.text == " ".join(cue.text for cue in cues)
    words = list(transcript.words)
    for number, cue in enumerate(cues):
        following = cues[number + 1] if number + 1 < len(cues) else None
        count = len(cue.text.split())
        own, words = words[:count], words[count:]
        assert len(cue.lines) <= limits.lines or count == 1
        assert all(len(line) <= limits.characters or len(line.split()) == 1 for line in cue.lines)
        assert count == 1 or round(1000 * (own[-1].end - own[0].start)) <= 1000 * limits.seconds
        assert all(round(1000 * (b.start - a.end)) <= 1500 for a, b in pairwise(own))
        assert cue.start == round(1000 * own[0].start) and cue.end >= round(1000 * own[-1].end)
        limit = following.start if following else max(round(1000 * transcript.duration), round(1000 * own[-1].end))
        assert cue.start < cue.end <= limit
        # shown as long as one reads, as far as the pause and the limit allow
        wished = cue.start + 1000 * min(limits.seconds, max(1.0, len(cue.text) / 20))
        assert cue.end >= math.floor(min(wished, limit))
        assert count == 1 or cue.end - cue.start <= 1000 * limits.seconds
    assert not words


@settings(max_examples=50, deadline=None)
@given(transcripts())
def test_cues_of_a_speaker_begin_with_the_name(transcript: Transcript) -> None:
    for cue in make_cues(transcript, LIMITS, "[Jane Doe]"):
        assert cue.text.startswith("[Jane Doe] ") and " ".join(cue.lines) == cue.text
        assert len(cue.lines) <= 2 or len(cue.text.split()) == 3
        assert all(len(line) <= 42 or len(line.split()) == 1 for line in cue.lines)


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 3000)), max_size=8))
def test_cues_do_not_overlap_even_if_words_do(times: list[tuple[int, int]]) -> None:
    starts = sorted(start for start, _ in times)
    words = tuple(Word("word", s / 1000, (s + n) / 1000, 1.0) for s, (_, n) in zip(starts, times, strict=True))
    cues = make_cues(Transcript("", words, 1.0), LIMITS)
    assert text_of(cues).split() == ["word"] * len(words)
    assert all(cue.start < cue.end for cue in cues)
    assert all(before.end <= after.start for before, after in pairwise(cues))


def test_cues_end_at_sentences_then_clauses_then_pauses() -> None:
    two = "The man who lives by the river came home late in the evening. Nobody in the house heard him."
    assert [cue.text for cue in make_cues(spoken(two), LIMITS)] == [
        "The man who lives by the river came home late in the evening.",
        "Nobody in the house heard him.",
    ]
    one = "When the man who lives by the old river came home late, nobody in the house or in the garden heard him."
    assert [cue.text for cue in make_cues(spoken(one), LIMITS)] == [
        "When the man who lives by the old river came home late,",
        "nobody in the house or in the garden heard him.",
    ]
    bare = "when the man who lives by the old river came home late nobody in the house or in the garden heard him"
    assert [cue.text for cue in make_cues(spoken(bare, pauses={"late": 0.4}), LIMITS)] == [
        "when the man who lives by the old river came home late",
        "nobody in the house or in the garden heard him",
    ]
    both = "When he came home late, nobody in the house heard him. We were all tired and had been asleep for hours."
    assert [cue.text for cue in make_cues(spoken(both), LIMITS)] == [
        "When he came home late, nobody in the house heard him.",
        "We were all tired and had been asleep for hours.",
    ]


def test_short_sentences_share_a_cue_unless_a_pause_is_between() -> None:
    assert len(make_cues(spoken("Yes. I do. Why?"), LIMITS)) == 1
    assert len(make_cues(spoken("Yes. I do. Why?", pauses={"do.": 1.2}), LIMITS)) == 2


def test_no_cue_is_left_with_a_word_or_two() -> None:
    text = "it was on the whole a very good day for all of the people who had come to see the new bridge open"
    lengths = [len(cue.text) for cue in make_cues(spoken(text), LIMITS)]
    assert len(lengths) == 2 and min(lengths) > 35


def test_cues_stay_for_as_long_as_one_reads() -> None:
    fast = "whatever happens nobody ever understands"  # 40 characters, 2 s at 20 a second
    words = spoken(fast, 0.02).words
    last = Word("then", 3.0, 3.2, 1.0)
    (first, second) = make_cues(Transcript("", (*words, last), 3.5), LIMITS)
    assert words[-1].end == 0.82
    assert (first.start, first.end) == (0, 2000) and (second.start, second.end) == (3000, 3500)
    sooner = Word("then", 2.4, 2.6, 1.0)
    assert make_cues(Transcript("", (*words, sooner), 3.5), LIMITS)[0].end == 2000
    slow = CueLimits(characters_per_second=10)
    assert [cue.end for cue in make_cues(Transcript("", (*words, last), 9.0), slow)] == [3000, 4000]


def test_lines_end_at_punctuation_and_are_evenly_long() -> None:
    assert wrap("a short one", LIMITS) == ["a short one"] and wrap("", LIMITS) == []
    assert wrap("He came home late, and nobody in the house ever heard him.", LIMITS) == [
        "He came home late,",
        "and nobody in the house ever heard him.",
    ]
    assert wrap("one two three four five six seven eight nine ten", LIMITS) == [
        "one two three four five",
        "six seven eight nine ten",
    ]
    assert wrap("x" * 60, LIMITS) == ["x" * 60]
    assert wrap("one two three four five six", CueLimits(10, 3)) == ["one two", "three four", "five six"]


def test_limits_are_checked() -> None:
    for values in ({"characters": 0}, {"lines": -1}, {"seconds": math.nan}, {"characters_per_second": math.inf}):
        with pytest.raises(InputError, match=f"subtitles: {next(iter(values))}=.*above 0"):
            CueLimits(**values)
    with pytest.raises(InputError, match=r"seconds=0\.5: use 1\.0 or more"):
        CueLimits(seconds=0.5)


def test_text_without_word_times_is_spread_over_the_recording() -> None:
    assert make_cues(Transcript("a small cat", (), 2.0), LIMITS) == [Cue(0, 2000, "a small cat", ("a small cat",))]
    cues = make_cues(Transcript("cat " * 100, (), 60.0), LIMITS)
    assert len(cues) >= 9 and cues[-1].end == 60000 and all(cue.end - cue.start <= 7000 for cue in cues)
    assert make_cues(Transcript("", (), 1.0), LIMITS) == [] == make_cues(Transcript("x", (), 0.0), LIMITS)[1:]


def test_long_words_stand_on_a_line_of_their_own() -> None:
    long = "x" * 60
    words = tuple(Word(text, i, i + 0.9, 1.0) for i, text in enumerate(["a", long, long, "b"]))
    cues = make_cues(Transcript("", words, 4.0), LIMITS)
    assert [cue.lines for cue in cues] == [("a", long), (long, "b")]


CHINESE = (
    "我们今天要去一个非常远的地方看一看那里的风景真的很漂亮啊大家都想去我们今天要去一个非常远的地方看一看那里的风景"
)
JAPANESE = (
    "今日はとても遠いところへ行って、そこの景色を見ます。「本当に」きれいなので、みんなが行きたがっています。" * 2
)
THAI = "สวัสดีครับผมชื่อสมชายและผมมาจากกรุงเทพมหานครประเทศไทย" * 3


def columns(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


@pytest.mark.parametrize("text", [CHINESE, JAPANESE, THAI, CHINESE + "Python3.11" + CHINESE, "ＡＢＣ１２３" * 20])
@pytest.mark.parametrize("split", ["one word", "characters", "pieces", "no times"])
def test_scripts_without_spaces(text: str, split: str) -> None:
    if "Python" in text and split in ("characters", "pieces"):
        return  # pieces of a Latin word are words
    size = {"one word": len(text), "characters": 1, "pieces": 11, "no times": 0}[split]
    texts = [text[i : i + size] for i in range(0, len(text), size)] if size else []
    step = 15.0 / max(1, len(texts))
    words = tuple(Word(part, i * step, (i + 1) * step, 0.9) for i, part in enumerate(texts))
    cues = make_cues(Transcript(text, words, 15.0), LIMITS)
    assert "".join(line for cue in cues for line in cue.lines) == text
    assert len(cues) >= 3
    for cue in cues:
        assert len(cue.lines) <= 2 and all(columns(line) <= 42 for line in cue.lines)
        assert 0 < cue.end - cue.start <= 7001
        assert not any(line[0] in "、。」" or line[-1] == "「" for line in cue.lines)
    assert cues[0].start == 0 and cues[-1].end == 15000
    assert all(before.end <= after.start for before, after in pairwise(cues))
    if text == JAPANESE and split == "characters":
        assert cues[0].text.endswith(("、", "。"))


def test_scripts_that_have_spaces_keep_them() -> None:
    texts = ["오늘은", "아주", "먼", "곳에", "가서", "풍경을", "봅니다.", "日本", "and", "日本語", "。"]
    words = tuple(Word(text, i * 0.3, i * 0.3 + 0.3, 1.0) for i, text in enumerate(texts))
    cues = make_cues(Transcript("", words, 4.0), LIMITS)
    assert [cue.lines for cue in cues] == [("오늘은 아주 먼 곳에 가서 풍경을 봅니다.", "日本 and 日本語。")]


def test_words_with_spaces_are_divided_at_these() -> None:
    """Here decomposed Hangul, which has no other place for it."""
    text = " ".join(["\u1112\u1161\u11ab\u1100\u1173\u11af"] * 20)
    cues = make_cues(Transcript(text, (Word(text, 0.0, 9.0, 1.0),), 9.0), LIMITS)
    assert {word for cue in cues for line in cue.lines for word in line.split()} == {text.split()[0]}
    assert len(cues) > 1 and cues[-1].end == 9000
