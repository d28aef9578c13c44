"""Make English sentences with the part of speech of each word: ``python recipes/tagging/make.py FOLDER``.

It writes FOLDER/train.tsv, dev.tsv and test.tsv, always the same; no sentence is in two of them. Half of the words are
of several parts of speech, by the words around them: in "the fish can swim" and "they can fish" as in "they swim in
the can". It prints how many tags of test are wrong when each word gets its most frequent one.
"""

from __future__ import annotations

import random
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from asr.data import pairs

SIZES = {"train": 6000, "dev": 500, "test": 1000}
WORDS = {
    "DET": "the a this that her his every",
    "ADJ": "light cold calm open clean old green dry slow right back",
    "NOUN": "fish can light cold calm watch play book water plant run walk dog man house answer right back open",
    "VERB": "fish can light calm watch play book water plant run walk answer clean dry slow open back see",
    "PRON": "they we you her that this i",
    "AUX": "can will might must",
    "ADP": "in by near with like over past",
    "ADV": "right back slowly here past over fast",
    "CONJ": "and but that",
}
# a symbol in small letters is one of these sequences, drawn with equal probability
RULES = {
    "s": ["clause", "clause", "clause CONJ clause"],
    "clause": ["np vp", "PRON vp", "PRON AUX vp", "np AUX vp", "vp"],
    "np": ["DET NOUN", "DET ADJ NOUN", "DET NOUN pp", "DET ADJ ADJ NOUN"],
    "vp": ["VERB", "VERB np", "VERB np pp", "VERB ADV", "VERB PRON", "VERB pp"],
    "pp": ["ADP np", "ADP PRON"],
}
Tagged = list[tuple[str, str]]  # words and their tags


def expand(symbol: str, rng: random.Random) -> Tagged:
    """Draw the words and tags that a symbol of the grammar stands for."""
    if symbol in WORDS:
        return [(rng.choice(WORDS[symbol].split()), symbol)]
    return [word for part in rng.choice(RULES[symbol]).split() for word in expand(part, rng)]


def most_frequent_tags(sentences: Sequence[Tagged]) -> dict[str, str]:
    """Return the most frequent tag of each word."""
    tags: Mapping[str, Counter[str]] = defaultdict(Counter)
    for word, tag in (pair for sentence in sentences for pair in sentence):
        tags[word][tag] += 1
    return {word: counts.most_common(1)[0][0] for word, counts in tags.items()}


def main(folder: Path) -> None:
    """Write the splits."""
    rng = random.Random(1)
    sentences: dict[str, Tagged] = {}
    while len(sentences) < sum(SIZES.values()):
        tagged = expand("s", rng)
        if len(tagged) > 2:
            sentences.setdefault(" ".join(word for word, _ in tagged), tagged)  # one reading of each sentence
    texts = list(sentences)
    for split, size in SIZES.items():
        own, texts = texts[:size], texts[size:]
        pairs.write({text: [" ".join(tag for _, tag in sentences[text])] for text in own}, folder / f"{split}.tsv")
    everything = list(sentences.values())
    guess = most_frequent_tags(everything[: SIZES["train"]])
    test = [pair for sentence in everything[-SIZES["test"] :] for pair in sentence]
    wrong = sum(guess[word] != tag for word, tag in test)
    print(f"test: {len(test)} words; the most frequent tag of each word is wrong for {100 * wrong / len(test):.1f} %")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
