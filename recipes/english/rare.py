"""Add rare and modern words to the words of a language model: their pronunciations, and a model of them alone.

    python recipes/english/rare.py cmudict.dict words.dict --books books/*.txt --everyday everyday.txt \
        --dictionary wide.dict --model rare.arpa

The new words are those of the CMU dictionary, those that the books have three times or more, and those that the
everyday sentences have twice; numbers are left out. `wide.dict` has the words of `words.dict` and the new ones,
pronounced as lexicon.py does. `rare.arpa` has their probabilities, by their counts in the books, for `asr lm mix` with
a small weight: a word that a recognizer's language model lacks is always wrong. Needs the extra ``synthetic``.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from asr.data.lm_text import read_sentences, read_words
from asr.lm import files
from asr.lm.ngram import BOS, EOS, UNK, NGramOrder, build
from asr.text.lexicon import read_lexicon

sys.path.insert(0, str(Path(__file__).parent))
from lexicon import is_number, lines, pronounce

WORD = re.compile(r"[a-z][a-z']*[a-z]|[a-z]")
IN_BOOKS, EVERYDAY = 3, 2  # least counts of a new word
FRAGMENTS = {"ain", "aren", "couldn", "didn", "doesn", "hadn", "hasn", "haven", "isn", "mustn", "needn", "shouldn"}
FRAGMENTS |= {"wasn", "weren", "wouldn"}  # of texts with spaces for apostrophes
NO_COUNT = 1.5  # of a word that the books do not have so often
LEAST = 1e-9  # probability of <unk>, <s> and </s>, which the other models have


def count_words(paths: list[Path], prose: bool) -> Counter[str]:
    """Count the words of texts."""
    counts: Counter[str] = Counter()
    for sentence in read_sentences(paths, prose=prose):
        counts.update(sentence)
    return counts


def main() -> None:
    """Write the dictionary and the model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cmudict", type=Path, help="the CMU pronouncing dictionary")
    parser.add_argument("words", type=Path, help="dictionary of the words that there are")
    parser.add_argument("--books", type=Path, nargs="+", required=True, help="texts")
    parser.add_argument("--everyday", type=Path, nargs="+", required=True, help="sentences, one a line")
    parser.add_argument("--dictionary", type=Path, required=True, help="dictionary to write")
    parser.add_argument("--model", type=Path, required=True, help="n-gram model to write")
    options = parser.parse_args()
    known, old = read_lexicon(options.cmudict), set(read_words(options.words, normalization="none"))
    books, everyday = count_words(options.books, prose=True), count_words(options.everyday, prose=False)
    new = {word for word in known if WORD.fullmatch(word)}
    new |= {word for word, count in books.items() if count >= IN_BOOKS and len(word) > 2 and WORD.fullmatch(word)}
    new |= {word for word, count in everyday.items() if count >= EVERYDAY and WORD.fullmatch(word)}
    new = {word for word in new - old - FRAGMENTS if not is_number(word)}
    order = sorted(new, key=lambda word: (-everyday[word], -books[word], word))
    pronounced = dict(pronounce(order, known))
    with options.dictionary.open("w", encoding="utf-8") as output:
        output.write(options.words.read_text(encoding="utf-8"))
        for word, variants in pronounced.items():
            print(*lines(word, variants), sep="\n", file=output)
    counts = np.array([books[word] if books[word] >= IN_BOOKS else NO_COUNT for word in pronounced], dtype=np.float64)
    probability = np.concatenate([[LEAST] * 3, counts / counts.sum()])
    unigrams = NGramOrder(
        parent=np.zeros(len(probability), dtype=np.int64),
        word=np.arange(len(probability)),
        log_prob=np.log(probability / probability.sum()).astype(np.float32),
        backoff=np.zeros(len(probability), dtype=np.float32),
    )
    files.write(build((UNK, BOS, EOS, *pronounced), [unigrams]), options.model)
    in_cmudict = sum(word in known for word in pronounced)
    print(f"{len(pronounced)} words: {in_cmudict} in the dictionary, {len(pronounced) - in_cmudict} by espeak-ng")


if __name__ == "__main__":
    main()
