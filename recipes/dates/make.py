"""Make pairs of dates as people write them and in ISO 8601: ``python recipes/dates/make.py FOLDER``.

It writes FOLDER/train.tsv, dev.tsv and test.tsv, always the same; no day is in two of them.
"""

from __future__ import annotations

import datetime
import random
import sys
from collections.abc import Callable
from pathlib import Path

from asr.data import pairs

SIZES = {"train": 8000, "dev": 500, "test": 1000}
FIRST, LAST = datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)

FORMS: list[Callable[[datetime.date], str]] = [
    lambda day: f"{day:%B} {day.day}, {day.year}",
    lambda day: f"{day:%A}, {day:%B} {day.day}{ordinal(day.day)}, {day.year}",
    lambda day: f"{day.day} {day:%b} {day.year}",
    lambda day: f"{day.day}{ordinal(day.day)} of {day:%B} {day.year}",
    lambda day: (
        f"{day:%a} {day.day} {day:%b} '{day:%y}" if day.year >= 2000 else f"{day:%a} {day.day} {day:%b} {day.year}"
    ),
    lambda day: f"{day.day}. {day.month}. {day.year}",
    lambda day: f"the {day.day}{ordinal(day.day)} day of {day:%B} in {day.year}",
]


def ordinal(number: int) -> str:
    """Return the ending of an ordinal number: st of 21st."""
    return "th" if number in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


def main(folder: Path) -> None:
    """Write the splits."""
    rng = random.Random(1)
    days = rng.sample(range((LAST - FIRST).days + 1), sum(SIZES.values()))
    for split, size in SIZES.items():
        numbers, days = days[:size], days[size:]
        dates = [FIRST + datetime.timedelta(number) for number in numbers]
        pairs.write({rng.choice(FORMS)(date): [date.isoformat()] for date in dates}, folder / f"{split}.tsv")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
