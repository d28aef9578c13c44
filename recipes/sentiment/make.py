"""Make short reviews that praise or blame: ``python recipes/sentiment/make.py FOLDER``.

It writes FOLDER/train.tsv, dev.tsv and test.tsv, always the same; no review is in two of them. Which words occur does
not decide: "not" turns an opinion round, and of two opinions the one after "but" counts, or the one that does not begin
with "although". It prints how many reviews of test a count of words (naive Bayes) gets wrong.
"""

from __future__ import annotations

import math
import random
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from asr.data import pairs

SIZES = {"train": 6000, "dev": 500, "test": 1000}
THINGS = "film story acting ending music food service room view book plot meal staff cast script"
GOOD = "good great lovely superb moving fresh clever charming funny delightful"
BAD = "bad poor awful dull stale silly rude boring dreadful tedious"
DEGREES = ("", "", "very ", "quite ", "really ")
NEGATIONS = ("is not", "was never", "is hardly")
CLASSES = ("negative", "positive")


def opinion(rng: random.Random, positive: bool) -> str:
    """Draw a clause with an opinion."""
    negated = rng.random() < 0.25
    verb = rng.choice(NEGATIONS if negated else ("is", "was"))
    word = rng.choice((GOOD if positive != negated else BAD).split())
    return f"the {rng.choice(THINGS.split())} {verb} {rng.choice(DEGREES)}{word}"


def review(rng: random.Random) -> tuple[str, bool]:
    """Draw a review, and whether it is positive."""
    positive = rng.random() < 0.5
    main = opinion(rng, positive)
    form = rng.randrange(5)
    if form == 0:
        return main, positive
    if form == 1:
        return f"{main} and {opinion(rng, positive)}", positive
    other = opinion(rng, not positive)
    forms = [f"{other} but {main}", f"although {other} {main}", f"{main} although {other}"]
    return forms[form - 2], positive


def word_weights(reviews: Iterable[tuple[str, bool]]) -> dict[str, float]:
    """Return how much each word speaks for a positive review, by naive Bayes, in nats."""
    counts = {False: Counter[str](), True: Counter[str]()}
    for text, positive in reviews:
        counts[positive].update(text.split())
    words = counts[False].keys() | counts[True].keys()
    totals = {positive: sum(own.values()) + len(words) for positive, own in counts.items()}
    share = {positive: {word: (own[word] + 1) / totals[positive] for word in words} for positive, own in counts.items()}
    return {word: math.log(share[True][word] / share[False][word]) for word in words}


def main(folder: Path) -> None:
    """Write the splits."""
    rng = random.Random(1)
    reviews: dict[str, bool] = {}
    while len(reviews) < sum(SIZES.values()):
        text, positive = review(rng)
        reviews.setdefault(text, positive)
    rows = list(reviews.items())
    splits = {}
    for split, size in SIZES.items():
        splits[split], rows = rows[:size], rows[size:]
        pairs.write({text: [CLASSES[positive]] for text, positive in splits[split]}, folder / f"{split}.tsv")
    weights = word_weights(splits["train"])
    wrong = sum(
        (sum(weights.get(word, 0.0) for word in text.split()) > 0) != positive for text, positive in splits["test"]
    )
    print(f"test: {SIZES['test']} reviews; a count of words is wrong about {100 * wrong / SIZES['test']:.1f} %")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
