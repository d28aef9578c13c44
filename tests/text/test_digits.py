from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.text import number_words
from asr.text.digits import find_numbers
from asr.text.numbers import spell_numbers

SPOKEN = (
    "one two nine ten twelve nineteen twenty thirty eighty ninety hundred thousand million and a oh point "
    "first second third fifth twentieth hundredth percent per cent dollars dollar cents may march of the at p "
    "m to or eighties"
)
WORDS = st.sampled_from(SPOKEN.split())


def written(text: str) -> str:
    """Return a text whose numbers are written with digits."""
    words, parts, at = text.split(), [], 0
    for number in find_numbers(words):
        parts += [*words[at : number.first], number.text]
        at = number.end
    return " ".join([*parts, *words[at:]])


@pytest.mark.parametrize(
    ("spoken", "expected"),
    [
        ("twenty three men and five dogs", "23 men and five dogs"),
        ("one hundred and five days", "105 days"),
        ("between one hundred and two hundred", "between 100 and 200"),
        ("one hundred and twenty thousand people", "120,000 people"),
        ("three million two hundred thousand", "3,200,000"),
        ("two point five million", "2.5 million"),
        ("twenty three million", "23 million"),
        ("a hundred men, a million and a dozen", "a hundred men, a million and a dozen"),
        ("a hundred and twenty and a thousand and one nights", "120 and 1,001 nights"),
        ("in nineteen eighty four or the nineteen sixties", "in 1984 or the 1960s"),
        ("nineteen oh five", "1905"),
        ("eighteen hundred and twelve", "1812"),
        ("two thousand nineteen and two thousand and five", "2019 and 2005"),
        ("three point one four", "3.14"),
        ("five percent or twenty per cent", "5% or 20%"),
        ("three dollars and fifty cents", "$3.50"),
        ("two million dollars and one dollar", "$2 million and $1"),
        ("the twenty first of may", "the 21st of may"),
        ("the fifth of may", "the 5th of may"),
        ("on may fifth nineteen forty five", "on may 5 1945"),
        ("you may first go", "you may first go"),
        ("a thirty second break", "a 30 second break"),
        ("the twenty second", "the 22nd"),
        ("the two hundred and fifth day", "the 205th day"),
        ("five or six hundred", "five or six hundred"),
        ("seven and thirty", "seven and thirty"),
        ("no one of them", "no one of them"),
        ("two thirds", "two thirds"),
        ("at ten fifteen", "at 10:15"),
        ("at five p m or ten o'clock", "at 5 p.m. or 10 o'clock"),
        ("at this point two men", "at this point two men"),
        ("five five five one two three four", "555-1234"),
        ("room one oh one", "room 101"),
        ("one two", "one two"),
        ("", ""),
    ],
)
def test_numbers_are_written_as_people_do(spoken: str, expected: str) -> None:
    assert written(spoken) == expected


@given(st.integers(10, 10**15 - 1))
def test_cardinals_come_back(number: int) -> None:
    text = written(number_words.cardinal(number))
    if not 2010 <= number < 2100:  # which are read as years, twenty ten
        assert number_words.cardinal(number) == spell_numbers(text)
    scales = {"million": 6, "billion": 9, "trillion": 12}
    digits, _, scale = text.replace(",", "").partition(" ")
    assert int(digits) * 10 ** scales.get(scale, 0) == number


@given(st.integers(10, 10**12))
def test_ordinals_come_back(number: int) -> None:
    spoken = f"the {number_words.ordinal(number)}"
    assert spell_numbers(written(spoken)) == spoken


@given(st.integers(1300, 2099))
def test_years_come_back(year: int) -> None:
    assert written(number_words.year(year)) == str(year)
    if year % 10 == 0:
        assert written(number_words.plural(number_words.year(year))) == f"{year}s"


@given(st.decimals(0, 999, places=3))
def test_decimals_come_back(number: object) -> None:
    spoken = number_words.decimal(str(number))
    assert written(spoken) == str(number)
    assert written(f"{spoken} percent") == f"{number}%"


@given(st.lists(WORDS, max_size=12))
def test_every_word_is_in_at_most_one_number(words: list[str]) -> None:
    numbers = find_numbers(words)
    at = 0
    for number in numbers:
        assert at <= number.first < number.end <= len(words)
        assert any(c.isdigit() for c in number.text)
        at = number.end
