"""n-gram estimation: words per second and memory of `asr lm train`, beside counting alone in Python dictionaries.

    python benchmarks/lm.py [--quick] [--json FILE] [--text FILE]

A trigram model with interpolated modified Kneser-Ney smoothing, written as ARPA, of FILE (a sentence a line) or of 20
million generated words (2 with --quick): a vocabulary of 200,000 by Zipf's law, each word independent of the others, so
that nearly all trigrams differ; real text has fewer and is faster. The peer only counts the same n-grams. Each runs in
a process of its own; memory is its largest resident size.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _common import Report, arguments

COUNT = """
import sys
from collections import Counter
counts = Counter()
for line in open(sys.argv[1]):
    words = ["<s>", *line.split(), "</s>"]
    for order in (1, 2, 3):
        counts.update(zip(*(words[at:] for at in range(order))))
print(len(counts))
"""
VOCABULARY, SENTENCE = 200_000, 20


def generate_text(path: Path, words: int) -> None:
    """Write a text of a number of words."""
    rng = np.random.default_rng(0)
    rank = np.arange(1, VOCABULARY + 1)
    names = np.array([f"w{number}" for number in rank])
    cumulative = np.cumsum(1 / rank) / np.sum(1 / rank)
    with path.open("w", encoding="utf-8") as file:
        for _ in range(words // (1000 * SENTENCE)):
            drawn = names[np.searchsorted(cumulative, rng.random((1000, SENTENCE)))]
            file.write("\n".join(map(" ".join, drawn)) + "\n")


def run(*command: str) -> tuple[float, float]:
    """Run a command and return its seconds and GiB of memory."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command[0]} failed")
    return time.perf_counter() - begin, usage.ru_maxrss / 2**20


def main() -> None:
    options = arguments(__doc__, text="")
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(options.text or Path(folder) / "text")
        if not options.text:
            generate_text(path, 2_000_000 if options.quick else 20_000_000)
        with path.open(encoding="utf-8") as file:
            words = sum(len(line.split()) for line in file)
        asr = [str(Path(sys.executable).with_name("asr")), "lm", "train", str(path), "--normalization", "none"]
        ours = run(*asr, "--order", "3", "--output", str(Path(folder) / "arpa"))
        theirs = run(sys.executable, "-c", COUNT, str(path))
    case = f"{words / 1e6:.1f} million words"
    rates = words / ours[0] / 1e6, words / theirs[0] / 1e6
    report.add(f"{case}: speed", *rates, "counting in a dictionary", "million words a second", higher_is_better=True)
    report.add(f"{case}: memory", ours[1], theirs[1], "counting in a dictionary", "GiB")
    report.write(options.json)


if __name__ == "__main__":
    main()
