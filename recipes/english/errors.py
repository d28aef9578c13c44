"""Print what the errors of a recognizer are, as Markdown tables: by speaker, by kind, the most frequent words.

asr evaluate english data/librispeech/dev.jsonl.gz --details details.jsonl
python recipes/english/errors.py details.jsonl asr/models/pretrained/english/words.lexicon

The second argument is the dictionary of the search, compiled or not: words outside it cannot be recognized.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from asr.metrics.error_rate import ErrorCounts, align, count
from asr.text.lexicon import Lexicon, read_lexicon

FREQUENT = 12  # rows of the last table


def kinds_of_error(reference: Sequence[str], hypothesis: Sequence[str], lexicon: Lexicon) -> Counter[str]:
    """Count the errors of an utterance by kind; each belongs to the first kind that it fits.

    A run of errors, between two words that are right, is one place: what is wrong there has one cause.
    """
    kinds: Counter[str] = Counter()
    place: list[tuple[str | None, str | None]] = []
    for operation, said, heard in [*align(reference, hypothesis), ("hit", None, None)]:
        if operation != "hit":
            place.append((said, heard))
            continue
        if place:
            words = [said for said, _ in place if said is not None]
            others = [heard for _, heard in place if heard is not None]
            kinds[_kind(words, others, lexicon)] += len(place)
        place = []
    return kinds


def _kind(words: Sequence[str], others: Sequence[str], lexicon: Lexicon) -> str:
    if any(word not in lexicon for word in words):
        return "at a word outside the dictionary"
    if "".join(words).replace("'", "") == "".join(others).replace("'", ""):
        return "the same letters, joined or divided"
    phones = min(
        count(said, heard).errors
        for said in _pronunciations(words, lexicon)
        for heard in _pronunciations(others, lexicon)
    )
    return ("the same phones", "one phone differs", "two phones differ")[phones] if phones < 3 else "more phones differ"


def _pronunciations(words: Sequence[str], lexicon: Lexicon) -> list[tuple[str, ...]]:
    """Return the pronunciations of some words in a row, of at most four of each."""
    variants: list[tuple[str, ...]] = [()]
    for word in words[:8]:
        variants = [(*before, *phones) for before in variants[:4] for phones in lexicon.get(word, [()])[:4]]
    return variants


def main() -> None:
    """Print the tables for the details that `asr evaluate` wrote."""
    details, dictionary = sys.argv[1:]
    lexicon = read_lexicon(dictionary)
    speakers: dict[str, ErrorCounts] = defaultdict(ErrorCounts)
    kinds: Counter[str] = Counter()
    frequent: dict[str, Counter[str]] = defaultdict(Counter)
    spoken: Counter[str] = Counter()
    for line in Path(details).read_text(encoding="utf-8").splitlines():
        utterance = json.loads(line)
        reference, hypothesis = utterance["reference"].split(), utterance["hypothesis"].split()
        speakers[utterance.get("speaker", "")] += count(reference, hypothesis)
        kinds += kinds_of_error(reference, hypothesis, lexicon)
        spoken.update(reference)
        for operation, said, heard in align(reference, hypothesis):
            if operation == "substitution":
                frequent[operation][f"{said} → {heard}"] += 1
            elif operation != "hit":
                frequent[operation][str(said or heard)] += 1
    total = sum(speakers.values(), ErrorCounts())
    print("| speaker | words | WER % | substitutions | deletions | insertions |\n| --- | --- | --- | --- | --- | --- |")
    for name, counts in [*sorted(speakers.items(), key=lambda item: item[1].rate), ("all", total)]:
        figures = (counts.reference, f"{100 * counts.rate:.1f}", counts.substitutions, counts.deletions)
        print(f"| {name} | " + " | ".join(map(str, figures)) + f" | {counts.insertions} |")
    print("\n| errors | number | share % |\n| --- | --- | --- |")
    for kind, number in kinds.most_common():
        print(f"| {kind} | {number} | {100 * number / max(total.errors, 1):.0f} |")
    outside = {word: number for word, number in spoken.items() if word not in lexicon}
    words = ", ".join(sorted(outside, key=lambda word: (-outside[word], word))[:FREQUENT])
    share = 100 * sum(outside.values()) / max(total.reference, 1)
    print(f"\n{sum(outside.values())} of {total.reference} words ({share:.1f} %) are outside the dictionary: {words} …")
    print("\n| substitutions | deletions | insertions |\n| --- | --- | --- |")
    columns = [
        [f"{what} ({number})" for what, number in frequent[operation].most_common(FREQUENT)]
        for operation in ("substitution", "deletion", "insertion")
    ]
    for row in range(FREQUENT):
        print("| " + " | ".join(column[row] if row < len(column) else "" for column in columns) + " |")


if __name__ == "__main__":
    main()
