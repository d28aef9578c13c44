"""Make a chaotic series as text: ``python recipes/forecast/make.py FOLDER``.

The series is that of Mackey & Glass (1977): dx/dt = 0.2 x(t - 17) / (1 + x(t - 17)^10) - 0.1 x(t), read every 6 units
of time. A letter stands for each value, one of 64 levels between 0.2 and 1.4. It writes FOLDER/train.txt, dev.txt and
test.txt, always the same, which are parts of one series with 500 values between them.
"""

from __future__ import annotations

import string
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

SIZES = {"train": 20000, "dev": 2000, "test": 4000}
GAP = 500  # values left out before each part
LETTERS = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
LOW, HIGH = 0.2, 1.4
DELAY, EVERY, STEPS = 17, 6, 10  # in units of time, and Euler's steps in one


def series() -> Iterator[float]:
    """Yield the values of the series, without end."""
    past = [1.2] * (DELAY * STEPS)
    x, at = 1.2, 0
    while True:
        for _ in range(EVERY * STEPS):
            delayed, past[at] = past[at], x
            at = (at + 1) % len(past)
            x += (0.2 * delayed / (1 + delayed**10) - 0.1 * x) / STEPS
        yield x


def letter(value: float) -> str:
    """Return the letter of a value."""
    level = int((value - LOW) / (HIGH - LOW) * len(LETTERS))
    return LETTERS[min(max(level, 0), len(LETTERS) - 1)]


def value(letter: str) -> float:
    """Return the value in the middle of a letter's level."""
    return LOW + (LETTERS.index(letter) + 0.5) * (HIGH - LOW) / len(LETTERS)


def main(folder: Path) -> None:
    """Write the splits."""
    folder.mkdir(parents=True, exist_ok=True)
    values = series()
    for split, size in SIZES.items():
        text = "".join(letter(x) for x in islice(values, GAP, GAP + size))
        (folder / f"{split}.txt").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
