"""How far back can a recurrent cell remember? Make the sequences, and print the table of the runs.

    python recipes/memory/memory.py make data/memory
    python recipes/memory/memory.py table runs/memory data/memory

A source is one of eight letters and then random bits, as many as the distance; the target is the letter. Whoever
guesses is wrong in 87.5 % of the cases. Training and dev data have distances from 1 to 100, or what ``make`` is told,
short ones more often; there is a test file for each of some distances. They are always the same.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

from asr.data import pairs
from asr.errors import InputError
from asr.evaluation.base import evaluate_model
from asr.models.directory import read_config

LETTERS, BITS = "abcdefgh", "01"
DISTANCES = (10, 20, 50, 100, 200, 500)
SIZES = {"train": 3000, "dev": 200, "test": 250}


def make(folder: Path, longest: int = 100) -> None:
    """Write train.tsv, dev.tsv, and test-DISTANCE.tsv for the `DISTANCES`."""
    rng = random.Random(longest)
    draws: dict[str, Callable[[], int]] = {split: lambda: round(longest ** rng.random()) for split in ("train", "dev")}
    draws |= {f"test-{distance}": lambda distance=distance: distance for distance in DISTANCES}  # type: ignore[misc]
    seen: set[str] = set()
    for split, draw in draws.items():
        texts: dict[str, list[str]] = {}
        while len(texts) < SIZES[split.partition("-")[0]]:
            letter = rng.choice(LETTERS)
            source = letter + "".join(rng.choices(BITS, k=draw()))
            if source not in seen:
                texts[source] = [letter]
        seen |= set(texts)
        pairs.write(texts, folder / f"{split}.tsv")


def table(runs: Path, data: Path) -> str:
    """Return a Markdown table: wrong letters in percent at each distance, of the models of the runs below a folder."""
    rows = [["cell", *(f"{distance} steps" for distance in DISTANCES)], ["---"] * (len(DISTANCES) + 1)]
    tests = [str(data / f"test-{distance}.tsv") for distance in DISTANCES]
    for test in tests:
        pairs.read(test)  # so that what is refused below is a model's output
    for model in sorted(path.parent for path in runs.rglob("model/metrics.json")):
        encoder = read_config(model)["encoder"]
        bias = encoder["forget_bias"]
        name = encoder["cell"] + ("" if bias is None else f", forget bias {bias:g}")
        rows.append([name, *(_wrong_letters(model, test) for test in tests)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _wrong_letters(model: Path, test: str) -> str:
    """Return the wrong letters in percent; "overflow" if the states of the network grow beyond what float32 has."""
    try:
        return f"{100 * evaluate_model(model, [test]).figures[test]['label_error']:.1f}"
    except InputError:
        return "overflow"


def main(command: str, folder: str, *rest: str) -> None:
    """Run ``make FOLDER [LONGEST]`` or ``table RUNS DATA``."""
    if command == "make":
        make(Path(folder), *map(int, rest))
    else:
        print(table(Path(folder), Path(*rest)))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except InputError as error:
        sys.exit(f"error: {error}")
