"""English numbers from words to digits: twenty three becomes 23. `asr.text.numbers` is the other direction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from asr.text.number_words import MONTHS, ORDINALS, SMALL, TENS, THOUSANDS, day, is_year, ordinal, plural, year

MIN_ALONE = 10  # smaller numbers stay words, unless a unit or another number makes them part of something longer
_UNITS = {word: value for value, word in enumerate(SMALL) if value < 10}
_BELOW_20 = {word: value for value, word in enumerate(SMALL)}
_TENS = {word: 10 * value for value, word in enumerate(TENS) if word}
_SCALES = {word: 1000**power for power, word in enumerate(THOUSANDS) if word}
_DIGITS = {**_UNITS, "oh": 0, "o": 0}
_NUMBER_WORDS = {*_BELOW_20, *_TENS, *_SCALES, "hundred"}
_CARDINAL_OF = {ordinal_word: word for word, ordinal_word in ORDINALS.items()} | {
    ordinal(value).split()[-1]: word for word, value in {**_BELOW_20, **_TENS, **_SCALES, "hundred": 100}.items()
}
_CARDINAL_OF |= {"hundredth": "hundred"} | {f"{word}th": word for word in _SCALES}
_MONTHS = {name.lower() for name in MONTHS}
_VERBS = {"may", "march"}  # months that are verbs as well
# fmt: off
_BEFORE_DATES = {"", "on", "of", "in", "the", "until", "since", "by", "from", "to", "before", "after", "this", "last"}
_BEFORE_TIMES = {"at", "by", "until", "till", "before", "after", "around", "about"}
# fmt: on
_CURRENCIES = {"dollars": ("$", "cents"), "euros": ("€", "cents")}
_ONE = {"dollar": "dollars", "euro": "euros", "cent": "cents"}
_JOINED = {"or", "to", "and", "by"}  # five or six hundred, five and twenty


class Number(NamedTuple):
    """A number among words.

    Attributes:
        first: index of its first word.
        end: index behind its last one.
        text: its digits, with the sign of a unit.
    """

    first: int
    end: int
    text: str


def find_numbers(words: Sequence[str]) -> list[Number]:
    """Find the numbers among words in small letters, and write them with digits.

    These are whole numbers and decimals, ordinals, years and decades, days of months, times of day, percentages,
    dollars and euros, and digits that are read one by one. Whole numbers below `MIN_ALONE` and what is said beside them
    (five or six hundred) stay words, as do fractions and indefinite numbers (a hundred, dozens).
    """
    found: list[Number] = []
    at = 0
    while at < len(words):
        number = _number_at(words, at)
        if number:
            found.append(number)
        at = number.end if number else at + 1
    return [number for number in found if not _is_mixed(words, number, found)]


def _number_at(words: Sequence[str], at: int) -> Number | None:
    """The number that begins at a word, the longest reading first."""
    for read in (_digit_string, _decade, _clock, _date, _amount, _ordinal, _plain):
        if number := read(words, at):
            return number
    return None


def _word(words: Sequence[str], at: int) -> str:
    return words[at] if 0 <= at < len(words) else ""


# -- what values words have: each returns (value, index behind it) or None


def _below_100(words: Sequence[str], at: int) -> tuple[int, int] | None:
    word = _word(words, at)
    if word in _TENS:
        ones = _UNITS.get(_word(words, at + 1), 0)
        return _TENS[word] + ones, at + 1 + (ones > 0)
    return (_BELOW_20[word], at + 1) if word in _BELOW_20 else None


def _below_1000(words: Sequence[str], at: int) -> tuple[int, int] | None:
    """A group of three digits, or hundreds up to ninety nine (nineteen hundred)."""
    is_article = _word(words, at) == "a"
    head = (1, at + 1) if is_article else _below_100(words, at)
    if head is None or _word(words, head[1]) != "hundred" or head[0] == 0:
        return None if is_article else head
    value, end = 100 * head[0], head[1] + 1
    rest = _below_100(words, end + (_word(words, end) == "and"))
    if rest and rest[0] and _word(words, rest[1]) != "hundred":
        value, end = value + rest[0], rest[1]
    return value, end


def cardinal_at(words: Sequence[str], at: int) -> tuple[int, int] | None:
    """Return the whole number that begins at a word and the index behind it; None if there is none.

    "and" may stand behind hundreds and thousands. "a" begins a number (a hundred and five) if something follows the
    hundred or thousand.
    """
    total, end, limit = 0, at, 1000 ** len(THOUSANDS)
    while group := _below_1000(words, end) or _article(words, end, at):
        value, behind = group
        scale = _SCALES.get(_word(words, behind), 1)
        if scale >= limit or (end > at and value >= min(limit, 1000)) or (end > at and value == 0):
            break
        if scale > 1 and value >= 1000:
            return None  # nineteen hundred thousand
        total, end, limit = total + value * scale, behind + (scale > 1), scale
        if scale == 1:
            break
        if _word(words, end) == "and" and _below_1000(words, end + 1):
            joined = cardinal_at(words, end + 1)
            if joined and joined[0] < limit:
                return total + joined[0], joined[1]
            break
    is_round = end - at == 2 and _word(words, at) == "a"  # a hundred
    return None if end == at or is_round else (total, end)


def _article(words: Sequence[str], at: int, first: int) -> tuple[int, int] | None:
    """The "a" of a thousand."""
    return (1, at + 1) if at == first and _word(words, at) == "a" and _word(words, at + 1) in _SCALES else None


@cache
def _years() -> dict[tuple[str, ...], str]:
    """Years and decades that are read in pairs or by hundreds, from 1300, by their words.

    From 1010 to 1299 they sound like times of day: eleven thirty.
    """
    years = {n: year(n) for n in range(1300, 2100) if is_year(str(n))}
    spoken = {tuple(words.split()): str(n) for n, words in years.items()}
    return spoken | {tuple(plural(words).split()): f"{n}s" for n, words in years.items() if n % 10 == 0}


def _year_at(words: Sequence[str], at: int, decade: bool = False) -> tuple[str, int] | None:
    for length in (4, 3, 2):
        text = _years().get(tuple(words[at : at + length]))
        if at + length <= len(words) and text and text.endswith("s") == decade:
            return text, at + length
    return None


# -- readings: each returns the number that begins at a word, or None


def _digit_string(words: Sequence[str], at: int) -> Number | None:
    """At least three digits read one by one; seven and ten are written as American telephone numbers."""
    end = at
    while _word(words, end) in _DIGITS:
        end += 1
    if end - at < 3 or words[at] in ("oh", "o") or _word(words, end) in (*_NUMBER_WORDS, "point"):
        return None
    text = "".join(str(_DIGITS[word]) for word in words[at:end])
    if len(text) in (7, 10):
        text = "-".join(filter(None, (text[:-7], text[-7:-4], text[-4:])))
    return Number(at, end, text)


def _decade(words: Sequence[str], at: int) -> Number | None:
    found = _year_at(words, at, decade=True)
    return Number(at, found[1], found[0]) if found else None


def _clock(words: Sequence[str], at: int) -> Number | None:
    """A time of day in hours and minutes, or hours before a.m. and p.m."""
    hour = _BELOW_20.get(_word(words, at), 0)
    if not 1 <= hour <= 12:
        return None
    minute, end = None, at + 1
    if _word(words, end) in ("oh", "o") and _UNITS.get(_word(words, end + 1), 0):
        minute, end = _UNITS[words[end + 1]], end + 2
    elif (found := _below_100(words, end)) and 10 <= found[0] <= 59:
        minute, end = found
    half = next((h for h in ("a m", "p m", "pm") if words[end : end + len(h.split())] == h.split()), "")
    if not half and (minute is None or _word(words, at - 1) not in _BEFORE_TIMES or _word(words, end) in _NUMBER_WORDS):
        return None
    text = f"{hour}" + (f":{minute:02}" if minute is not None else "") + (f" {half[0]}.m." if half else "")
    return Number(at, end + len(half.split()), text)


def _date(words: Sequence[str], at: int) -> Number | None:
    """The day of a month: behind its name, or before it (the fifth of May)."""
    value = _ordinal_value(words, at)
    if value is None or day(str(value[0])) is None:
        return None
    number, end = value
    if words[end : end + 1] == ["of"] and _word(words, end + 1) in _MONTHS:
        return Number(at, end, _suffixed(number))
    month = _word(words, at - 1)
    if month not in _MONTHS:
        return None
    if month in _VERBS and _word(words, at - 2) not in _BEFORE_DATES and not _year_at(words, end):
        return None
    return Number(at, end, str(number))


def _ordinal_value(words: Sequence[str], at: int) -> tuple[int, int] | None:
    for end in range(at + 1, min(at + 12, len(words)) + 1):
        if (last := _CARDINAL_OF.get(words[end - 1])) is not None:
            value = cardinal_at([*words[at : end - 1], last], at=0)
            return (value[0], end) if value and value[1] == end - at else None
        if words[end - 1] not in _NUMBER_WORDS and words[end - 1] not in ("and", "a"):
            break
    return None


def _suffixed(number: int) -> str:
    ending = "th" if 11 <= number % 100 <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending}" if number >= 1000 else f"{number}{ending}"


def _ordinal(words: Sequence[str], at: int) -> Number | None:
    value = _ordinal_value(words, at)
    if value is None or value[0] < MIN_ALONE:
        return None
    number, end = value
    if words[end - 1] == "second" and _word(words, at - 1) != "the" and _word(words, end) != "of":
        return None  # a thirty second break
    return Number(at, end, _suffixed(number))


def _amount(words: Sequence[str], at: int) -> Number | None:
    """A number with decimals, a scale, or before percent, dollars or euros."""
    found = cardinal_at(words, at)
    if found is None:
        return None
    value, end = found
    text, is_long = _written(value, words[at:end]), False
    if _word(words, end) == "point" and (decimals := _decimals(words, end + 1)):
        if value >= 1000:
            text = f"{value:,}"
        text, end, is_long = f"{text}.{decimals[0]}", decimals[1], True
        if _word(words, end) in ("million", "billion", "trillion"):
            text, end = f"{text} {words[end]}", end + 1
    unit = _word(words, end)
    percent = 1 if unit == "percent" else 2 if words[end : end + 2] == ["per", "cent"] else 0
    if percent:
        return Number(at, end + percent, f"{text}%")
    if (_ONE.get(unit, unit) if value == 1 else unit) in _CURRENCIES:
        sign, hundredths = _CURRENCIES[_ONE.get(unit, unit)]
        cents = _below_100(words, end + 2) if _word(words, end + 1) == "and" and not is_long else None
        if cents and _ONE.get(_word(words, cents[1]), _word(words, cents[1])) == hundredths:
            return Number(at, cents[1] + 1, f"{sign}{text}.{cents[0]:02}")
        return Number(at, end + 1, f"{sign}{text}")
    return Number(at, end, text) if is_long else None


def _decimals(words: Sequence[str], at: int) -> tuple[str, int] | None:
    end = at
    while _word(words, end) in _DIGITS:
        end += 1
    if end > at:
        return "".join(str(_DIGITS[word]) for word in words[at:end]), end
    found = _below_100(words, at)
    return (str(found[0]), found[1]) if found else None


def _written(value: int, words: Sequence[str]) -> str:
    """Digits of a whole number, in groups of three where it was read with a thousand."""
    if value >= 10**6 and words[-1] in _SCALES and len([word for word in words if word in _SCALES]) == 1:
        return f"{value // _SCALES[words[-1]]} {words[-1]}"
    is_like_year = 2000 < value < 2100 or (value < 10**4 and "thousand" not in words)
    return str(value) if is_like_year else f"{value:,}"


def _plain(words: Sequence[str], at: int) -> Number | None:
    whole, found = cardinal_at(words, at), _year_at(words, at)
    if found and (whole is None or found[1] >= whole[1]):
        return Number(at, found[1], found[0])
    if whole is None or whole[0] < MIN_ALONE:
        return None
    return Number(at, whole[1], _written(whole[0], words[at : whole[1]]))


def _is_mixed(words: Sequence[str], number: Number, found: Sequence[Number]) -> bool:
    """Whether a number that stays words is beside a number, or joined to it: five or six hundred, two twenty."""
    taken = {index for other in found for index in range(other.first, other.end)}

    def is_left(index: int) -> bool:
        return index not in taken and _word(words, index) in _NUMBER_WORDS

    before, behind = number.first - 1, number.end
    if not number.text.replace(",", "").isdigit():  # it has a unit or sign of its own
        return False
    return any(_neighbors(words, before, -1, is_left)) or any(_neighbors(words, behind, 1, is_left))


def _neighbors(words: Sequence[str], at: int, step: int, is_left: object) -> Iterator[bool]:
    assert callable(is_left)
    yield is_left(at)
    yield _word(words, at) in _JOINED and is_left(at + step)
