"""Words for numbers in American English: no "and" within numbers, no hyphens."""

from __future__ import annotations

# fmt: off
SMALL = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]
TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
THOUSANDS = ["", "thousand", "million", "billion", "trillion", "quadrillion", "quintillion"]
MONTHS = [
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
]
# fmt: on
ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
MAX_DIGITS = 3 * len(THOUSANDS)


def cardinal(number: int) -> str:
    """Return the words of a whole number from 0, of at most `MAX_DIGITS` digits: 120 is one hundred twenty."""
    if number < 100:
        tens, ones = divmod(number, 10)
        return SMALL[number] if number < 20 else f"{TENS[tens]} {SMALL[ones]}" if ones else TENS[tens]
    if number < 1000:
        rest = number % 100
        return f"{SMALL[number // 100]} hundred" + (f" {cardinal(rest)}" if rest else "")
    words: list[str] = []
    for name in THOUSANDS:
        number, group = divmod(number, 1000)
        if group:
            words.insert(0, f"{cardinal(group)} {name}".rstrip())
    return " ".join(words)


def whole(number: str) -> str:
    """Return the words of digits; of more than `MAX_DIGITS`, one by one."""
    return cardinal(int(number)) if len(number) <= MAX_DIGITS else digits(number)


def ordinal(number: int) -> str:
    """Return the words of an ordinal: 21 is twenty first."""
    *words, last = cardinal(number).split()
    if last not in ORDINALS:
        last = f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th"
    return " ".join([*words, ORDINALS.get(last, last)])


def decimal(number: str) -> str:
    """Return the words of a number with a decimal point: 3.14 is three point one four."""
    before, _, part = number.partition(".")
    return f"{f'{whole(before)} ' if before else ''}point {digits(part)}"


def digits(number: str) -> str:
    """Return the digits of a text, one by one: 555-1234 is five five five one two three four."""
    return " ".join(SMALL[int(digit)] for digit in number if digit.isdigit())


def is_year(number: str) -> bool:
    """Tell whether digits are read as those of a year: in pairs, from 1010 to 2099."""
    return len(number) == 4 and number.isdigit() and 1010 <= int(number) <= 2099


def year(number: int) -> str:
    """Return the words of a year of four digits: 1984 is nineteen eighty four, 1905 nineteen oh five."""
    century, rest = divmod(number, 100)
    if century % 10 == 0 and rest < 10:  # 2000 to 2009
        return cardinal(number)
    if not rest:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {'oh ' if rest < 10 else ''}{cardinal(rest)}"


def day(number: str) -> str | None:
    """Return the ordinal of a day of a month; None for other numbers."""
    return ordinal(int(number)) if 1 <= int(number) <= 31 else None


def plural(words: str) -> str:
    """Return words whose last one is a plural: nineteen eighty becomes nineteen eighties."""
    if words.endswith("y"):
        return f"{words[:-1]}ies"
    if words.endswith("half"):
        return f"{words[:-1]}ves"
    return f"{words}es" if words.endswith("x") else f"{words}s"
