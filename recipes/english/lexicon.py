"""Make the dictionary of a language model's words: pronunciations by the CMU dictionary, or else by espeak-ng.

    python recipes/english/lexicon.py cmudict.dict MODEL > words.dict

MODEL is an n-gram model, ARPA or binary. Words with digits and Roman numerals are left out. Prints the counts to
standard error. Needs the extra ``synthetic``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from asr.lm import files
from asr.lm.ngram import BOS, EOS, UNK
from asr.text.lexicon import Lexicon, read_lexicon

sys.path.insert(0, str(Path(__file__).parent))
from pronounce import Speller

ROMAN = re.compile(r"(?=..)m*(c[md]|d?c*)(x[cl]|l?x*)(i[xv]|v?i*)")
WORDS_LIKE_ROMAN = {"mix", "di", "li", "mi", "mm"}


def is_number(word: str) -> bool:
    """Return whether a word has a digit or is a Roman numeral of two letters or more."""
    return any(map(str.isdigit, word)) or (ROMAN.fullmatch(word) is not None and word not in WORDS_LIKE_ROMAN)


def pronounce(words: Iterable[str], known: Lexicon) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    """Yield words with their pronunciations by a dictionary, or else by espeak-ng, without those that have no sound."""
    speller = Speller()
    for word in words:
        variants = [tuple(phones) for phones in known.get(word) or [speller(word)] if phones]
        if variants:
            yield word, list(dict.fromkeys(variants))


def lines(word: str, variants: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Yield the lines of a word in a dictionary."""
    for number, phones in enumerate(variants, start=1):
        yield " ".join([word if number == 1 else f"{word}({number})", *(phone.upper() for phone in phones)])


def main() -> None:
    """Print the dictionary."""
    known = read_lexicon(sys.argv[1])
    words = [word for word in files.read(sys.argv[2]).words if word not in (UNK, BOS, EOS)]
    kept = [word for word in words if not is_number(word)]
    spelled, silent = 0, len(kept)
    for word, variants in pronounce(kept, known):
        silent -= 1
        spelled += word not in known
        print(*lines(word, variants), sep="\n")
    print(
        f"{len(words)} words: {len(words) - len(kept)} numbers left out, {len(kept) - spelled - silent} in the "
        f"dictionary, {spelled} by espeak-ng, {silent} without a sound",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
