"""Numbers in English texts, spelled out as they are read aloud."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from asr.text.number_words import (
    MAX_DIGITS,
    MONTHS,
    cardinal,
    day,
    decimal,
    digits,
    is_year,
    ordinal,
    plural,
    whole,
    year,
)

# A number: digits, perhaps in groups of three (1,234 or with a no-break space), perhaps with a decimal point.
_WHOLE = "(?:[0-9]{1,3}(?:[,\u00a0\u2009\u202f][0-9]{3})+|[0-9]+)"
_NUMBER = rf"(?:{_WHOLE}(?:\.[0-9]+)?|(?<![0-9])\.[0-9]+)"
# It is no part of something longer that has digits: 1.2.3, 10/12/2020, 555-1234, a1b2, $5x.
_START = r"(?<![\w$£€¥₹])(?<![0-9][.,:/'’–-])"
_END = r"(?!\w)(?![.,:/'’–-][0-9])"
_TO = "(?:-| ?[–—] ?| - )"  # between the ends of a range
_MONTH = rf"(?:{'|'.join(f'{name[:3]}(?:{name[3:]})?' for name in MONTHS)}|Sept)"
_CLOCK = "(?:(?:[01]?[0-9]|2[0-4]):[0-5][0-9])"
_HOUR = rf"(?:{_CLOCK}|[0-9]{{1,2}})"
_AM = r"(?: ?[AaPp](?:\.[Mm]\.|[Mm])(?!\w))"
_SCALES = {"k": "thousand", "m": "million", "mn": "million", "b": "billion", "bn": "billion", "tn": "trillion"}
_SCALE = r"(?:[ -](hundred|thousand|million|billion|trillion)|(k|mn?|bn?|tn))(?!\w)"
# of each sign: a unit, several of it, a hundredth, several of it; hundredths may be missing
_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "¥": ("yen", "yen", "", ""),
    "₹": ("rupee", "rupees", "paisa", "paise"),
}
_OPERATORS = {"+": "plus", "=": "equals", "×": "times", "*": "times", "÷": "divided by", "x": "by", "X": "by"}
_SPOKEN = {"24/7": "twenty four seven", "9/11": "nine eleven", "50/50": "fifty fifty"}
_FRACTIONS = "".join(c for c in map(chr, [*range(0xBC, 0xBF), *range(0x2150, 0x215F)]))  # ½ and its like
_WIDE = {0xFF10 + digit: str(digit) for digit in range(10)} | {0xFF05: "%", 0xFF04: "$"}


def spell_numbers(text: str) -> str:
    """Write the numbers of an English text as words, in the American way: 1984 is nineteen eighty four.

    Understood are whole numbers and decimals, thousands separators (1,234), signs, ordinals (21st), years and decades
    (the 1980s), days of months, ISO dates, times of day, ranges (5–10), fractions, percentages, degrees, amounts of
    money ($3.50, £2 million), American telephone numbers, ratios, and numbers beside letters (MP3, 10km). Everything
    else stays as it is, see `numbers_left`. A text in capitals stays one.
    """
    if not any(c.isdigit() or c in _FRACTIONS for c in text):
        return text
    spelled = text.translate(_WIDE)
    for pattern, words in _RULES:
        spelled = pattern.sub(lambda match, words=words: words(match) or match[0], spelled)  # type: ignore[misc]
    is_capital = text.isupper() and re.search(r"(?<![\w$])[^\W\d_]{2,}(?![\w$£€¥₹])", text) is not None
    return spelled.upper() if is_capital else spelled


def numbers_left(text: str) -> list[str]:
    """List the parts of a text, separated by white space, that have digits or other signs of numbers in them."""
    if text.isascii() and not any(c.isdigit() for c in text):
        return []
    return [part for part in text.split() if any(unicodedata.category(c) in ("Nd", "No") for c in part)]


# -- what becomes of the matches of `_RULES`; an empty text leaves a match as it is


def _plain(number: str) -> str:
    """Read a number as it stands alone: four digits are a year, digits after a zero are read one by one."""
    number = re.sub("[,\u00a0\u2009\u202f]", lambda _: ",", number)
    if "." in number:
        return decimal(number.replace(",", ""))
    if is_year(number):
        return year(int(number))
    if len(number) > 1 and number.startswith("0"):
        return digits(number)
    return whole(number.replace(",", ""))


def _amount(number: str) -> str:
    """Read a number before a unit: four digits are no year."""
    number = re.sub("[,\u00a0\u2009\u202f]", "", number)
    return decimal(number) if "." in number else whole(number)


def _value(number: str) -> float:
    return float(re.sub("[,\u00a0\u2009\u202f]", "", number))


def _iso_date(match: re.Match[str]) -> str:
    month, number = int(match[2]), int(match[3])
    if not (1 <= month <= 12 and 1 <= number <= 31):
        return ""
    return f"{MONTHS[month - 1]} {ordinal(number)}, {year(int(match[1]))}"


def _month_day(match: re.Match[str]) -> str:
    first, last = day(match[2]), day(match[3]) if match[3] else None
    if first is None or (match[3] and last is None):
        return ""
    return f"{match[1]}{first}" + (f" to {last}" if last else "")


def _day_month(match: re.Match[str]) -> str:
    return f"the {spoken} of {match[2]}" if (spoken := day(match[1])) else ""


def _ordinal(match: re.Match[str]) -> str:
    number = re.sub("[,\u00a0\u2009\u202f]", "", match[1])
    return ordinal(int(number)) if len(number) <= MAX_DIGITS else ""


def _plural(match: re.Match[str]) -> str:
    number = match[1]
    if match[2] and not (number.endswith("0") and len(number) in (2, 4) and number != "10"):
        return ""  # 5's is no decade
    words = {"10": "ten", "100": "hundred", "1000": "thousand"}.get(number.replace(",", "")) or _plain(number)
    return plural(words)


def _money(match: re.Match[str]) -> str:
    article, sign, country, symbol, first, last, word, letters = match.groups()
    one, several, hundredth, hundredths = _CURRENCIES[symbol]
    country = f"{country} " if country else ""
    minus = "minus " if sign else ""
    scale = word or _SCALES.get((letters or "").lower(), "")
    if last:
        return f"{minus}{_amount(first)} to {_amount(last)} {f'{scale} ' if scale else ''}{country}{several}"
    article = article or ""
    if scale:
        return f"{article}{minus}{_amount(first)} {scale} {country}{one if article else several}"
    units, _, part = first.partition(".")
    if len(part) != 2 or not hundredths:
        unit = one if article or first == "1" else several
        return f"{article}{minus}{_amount(first)} {country}{unit}"
    parts = []
    if units.strip("0") or not int(part):
        parts.append(f"{_amount(units or '0')} {country}{one if article or units == '1' else several}")
    if int(part):
        parts.append(f"{cardinal(int(part))} {hundredth if article or int(part) == 1 else hundredths}")
    return article + minus + " and ".join(parts)


def _money_behind(match: re.Match[str]) -> str:
    if match[2] == "¢":
        return f"{_amount(match[1])} {'cent' if match[1] == '1' else 'cents'}"
    one, several, *_ = _CURRENCIES[match[2]]
    return f"{_amount(match[1])} {one if match[1] == '1' else several}"


def _percent(match: re.Match[str]) -> str:
    sign = {"-": "minus ", "+": "plus "}.get(match[1] or "", "")
    numbers = " to ".join(_amount(number) for number in match.group(2, 3) if number)
    return f"{sign}{numbers} {'percent' if match[4] == '%' else 'per mille'}"


def _degrees(match: re.Match[str]) -> str:
    unit = {"C": " Celsius", "F": " Fahrenheit"}.get(match[3] or "", "")
    return f"{'minus ' if match[1] else ''}{_amount(match[2])} {'degree' if match[2] == '1' else 'degrees'}{unit}"


def _times(match: re.Match[str]) -> str:
    first, first_half, last, last_half = match.groups()
    if not last:
        return _time(first, first_half)
    is_half = bool(first_half or last_half)
    return f"{_time(first, first_half, is_half)} to {_time(last, last_half, is_half)}"


def _time(time: str, half: str | None, is_half: bool = False) -> str:
    """Read a time of day; ``half`` is am or pm, which ``is_half`` says of a time beside it."""
    hour, _, minute = time.replace(".", ":").partition(":")
    spoken = cardinal(int(hour))
    if int(minute or "0"):
        spoken += f" {'oh ' if minute.startswith('0') else ''}{cardinal(int(minute))}"
    elif minute and not (half or is_half):
        spoken += " o'clock" if 1 <= int(hour) <= 12 else " hundred"
    return f"{spoken} {half.strip()}" if half else spoken


def _fraction(match: re.Match[str]) -> str:
    if match[4]:
        top, bottom = (int(part or "1") for part in unicodedata.normalize("NFKC", match[4]).split("⁄"))
    else:
        top, bottom = int(match[2]), int(match[3])
    if not 0 < top < bottom or not (bottom <= 10 or bottom in (12, 16, 20, 32, 50, 64, 100, 1000)):
        return ""
    name = {2: "half", 4: "quarter"}.get(bottom) or ordinal(bottom)
    part = f"{cardinal(top)} {name if top == 1 else plural(name)}"
    if not match[1]:
        return part
    return f"{_amount(match[1])} and {f'a {name}' if top == 1 and name[0] != 'e' else part}"


def _range(match: re.Match[str]) -> str:
    first, last = match[1], match[2]
    is_short = is_year(first) and len(last) in (1, 2) and int(last) > int(first[-len(last) :])  # 1914-18
    if any(len(n) > 1 and n[0] == "0" and "." not in n for n in (first, last)) and not is_short:
        return ""
    if not (is_short or _value(first) < _value(last) or max(_value(first), _value(last)) < 100):
        return ""
    read = _plain if (is_year(first) and is_year(last)) or is_short else _amount
    return f"{read(first)} to {read(last)}"


def _beside_letters(match: re.Match[str]) -> str:
    before, number, behind = match.groups()
    if not (before + behind).isalpha() or (len(number) > 4 and before) or len(behind) > 4:
        return ""
    return " ".join(filter(None, (before, _plain(number), behind)))


# In the order in which they are applied; what one of them has spelled out has no digits for the next ones.
_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (
            rf"{_START}(?:\+?1[-. ])?(?:\([0-9]{{3}}\) ?|[0-9]{{3}}[-.])?[0-9]{{3}}[-.][0-9]{{4}}{_END}",
            lambda m: digits(m[0]),
        ),
        ("−(?=[$£€¥₹.]?[0-9])", lambda m: "-"),
        # 10 000, but not 12 345, which may be two numbers
        (
            r"(?<![\w.,])[0-9]{1,3}(?: [0-9]{3})*(?: 0[0-9]{2})(?: [0-9]{3})*(?![\w]|[.,][0-9])",
            lambda m: m[0].replace(" ", ","),
        ),
        (rf"{_START}([0-9]{{1,2}})['’′] ?([0-9]{{1,2}})[\"”″]", lambda m: f"{_amount(m[1])} foot {_amount(m[2])}"),
        (rf"{_START}([12][0-9]{{3}})-([0-9]{{2}})-([0-9]{{2}}){_END}", _iso_date),
        (rf"(\b{_MONTH}\.? )([0-9]{{1,2}})(?:{_TO}([0-9]{{1,2}}))?{_END}(?! ?[%:°])", _month_day),
        (rf"{_START}(?:[Tt]he )?([0-9]{{1,2}}) ({_MONTH}\b)", _day_month),
        (rf"{_START}({_WHOLE})(?:st|nd|rd|th|ST|ND|RD|TH)(?!\w)", _ordinal),
        (rf"{_START}['’]?({_WHOLE})(['’]?)s(?!\w)", _plural),
        (rf"(?:№|#|\bNo\.) ?(?={_WHOLE}{_END})", lambda m: "number "),
        (
            rf"(\b[Aa]n? )?(?<!\w)(-)?(US|AU?|CA?|NZ|HK)?([$£€¥₹]) ?({_NUMBER})"
            rf"(?:{_TO}[$£€¥₹]?({_NUMBER}))?(?:{_SCALE})?{_END}",
            _money,
        ),
        (rf"{_START}({_NUMBER}) ?([$£€¥₹¢])(?!\w)", _money_behind),
        (rf"{_START}([-+])?({_NUMBER})(?: ?%?{_TO}({_NUMBER}))? ?([%‰])", _percent),
        (rf"{_START}(-)?({_NUMBER}) ?°(?: ?([CF])(?!\w))?", _degrees),
        (rf"{_START}({_CLOCK})({_AM})?{_TO}({_CLOCK})({_AM})?{_END}", _times),
        (rf"{_START}({_HOUR})({_AM})?{_TO}({_HOUR})({_AM})", _times),
        (rf"{_START}({_HOUR}(?:\.[0-5][0-9])?)({_AM})()()", _times),
        (rf"{_START}({_CLOCK})()()(){_END}", _times),
        (rf"{_START}({_WHOLE}):({_WHOLE}){_END}", lambda m: f"{_amount(m[1])} to {_amount(m[2])}"),
        (rf"{_START}(?:{'|'.join(_SPOKEN)}){_END}", lambda m: _SPOKEN[m[0]]),
        (
            rf"{_START}(?:({_WHOLE})(?: |(?=[{_FRACTIONS}])))?(?:([0-9]{{1,3}})/([0-9]{{1,4}}){_END}|([{_FRACTIONS}]))",
            _fraction,
        ),
        (r"(?<=[0-9]) ?([+=×*÷xX]) ?(?=[0-9]+(?:[xX][0-9]+){0,3}(?!\w))", lambda m: f" {_OPERATORS[m[1]]} "),
        (r"(?<=[0-9])\+(?!\w)", lambda m: " plus"),
        (rf"{_START}({_NUMBER}){_TO}({_NUMBER}){_END}", _range),
        (rf"{_START}([^\W\d_]*)({_NUMBER})([^\W\d_]*){_END}(?!-[0-9])", _beside_letters),
        (rf"(?<![^\s(])-(?={_NUMBER}{_END})", lambda m: "minus "),
        (rf"(?<![^\s(])\+(?={_NUMBER}{_END})", lambda m: "plus "),
        (rf"{_START}{_NUMBER}{_END}", lambda m: _plain(m[0])),
    )
)
