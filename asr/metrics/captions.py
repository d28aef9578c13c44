"""How good captions are: BLEU, METEOR, ROUGE-L and CIDEr-D, as the COCO caption evaluation defines them, without Java.

Captions are compared word by word, as they are split by white space: tokenize both sides first
(`asr.data.caption_manifest.tokenize`). Scores are fractions from 0 to 1, CIDEr-D from 0 to 10. ROUGE-L and CIDEr-D
are those of https://github.com/tylin/coco-caption (Chen et al. 2015, arXiv 1504.00325).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache, reduce
from operator import or_
from typing import Any

from rapidfuzz.distance import LCSseq

from asr.errors import InputError

ORDERS = (1, 2, 3, 4)  # of n-grams, in BLEU and CIDEr-D
ROUGE_BETA = 1.2  # how much more recall counts than precision
CIDER_SIGMA = 6.0  # words of difference in length
# METEOR's weight of recall, and exponent and weight of the penalty: of Lavie & Agarwal 2007, the metric's paper 3
METEOR_ALPHA, METEOR_BETA, METEOR_GAMMA = 0.9, 3.0, 0.5

Words = list[str]


@dataclass(frozen=True)
class ImageScores:
    """Of one image's caption."""

    meteor: float
    rouge_l: float
    cider_d: float


@dataclass(frozen=True)
class CaptionScores:
    """Of all captions together, ``bleu`` up to 1, 2, 3 and 4 words; and of each."""

    bleu: tuple[float, ...]
    meteor: float
    rouge_l: float
    cider_d: float
    images: tuple[ImageScores, ...]

    def named(self) -> dict[str, float]:
        """The corpus's scores by the names to print. METEOR's says what it lacks: synonyms and paraphrases."""
        bleu = {f"BLEU-{order}": score for order, score in zip(ORDERS, self.bleu, strict=True)}
        return bleu | {"METEOR (exact, stem)": self.meteor, "ROUGE-L": self.rouge_l, "CIDEr-D": self.cider_d}


def score(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> CaptionScores:
    """Scores of one caption for each image against those that people wrote for it, of which there may be any number.

    Raises InputError where the numbers of images differ, there are none, or an image has no reference or an empty one.
    """
    if len(hypotheses) != len(references) or not hypotheses:
        raise InputError(f"captions of {len(hypotheses)} images, references of {len(references)}")
    found = [text.split() for text in hypotheses]
    wanted = [[text.split() for text in texts] for texts in references]
    for number, texts in enumerate(wanted):
        if not texts or not all(texts):
            raise InputError(f"image {number}: a reference without words, or none at all: {list(references[number])}")
    # METEOR of the corpus is that of the sums, as its authors' program has it
    counts = [_best_meteor(words, texts) for words, texts in zip(found, wanted, strict=True)]
    rouge = [rouge_l(words, texts) for words, texts in zip(found, wanted, strict=True)]
    cider = cider_d(found, wanted)
    images = tuple(
        ImageScores(_meteor(*count), of_rouge, of_cider)
        for count, of_rouge, of_cider in zip(counts, rouge, cider, strict=True)
    )
    meteor = _meteor(*(sum(column) for column in zip(*counts, strict=True)))
    return CaptionScores(bleu(found, wanted), meteor, sum(rouge) / len(rouge), sum(cider) / len(cider), images)


def bleu(found: Sequence[Words], wanted: Sequence[Sequence[Words]]) -> tuple[float, ...]:
    """BLEU-1 … BLEU-4 of a corpus (Papineni et al. 2002), not smoothed: what sacreBLEU says without tokenization.

    The length of the closest reference counts, of two as close that of the shorter. So it does in sacreBLEU and in
    COCO's code; the latter differs only in adding 1e-15 to counts, so that none is 0.
    """
    correct, total = [0] * len(ORDERS), [0] * len(ORDERS)
    for words, texts in zip(found, wanted, strict=True):
        for at, order in enumerate(ORDERS):
            allowed = reduce(or_, (_ngrams(text, order) for text in texts))
            correct[at] += (_ngrams(words, order) & allowed).total()
            total[at] += max(len(words) - order + 1, 0)
    length = sum(map(len, found))
    closest = sum(
        min((abs(len(text) - len(words)), len(text)) for text in texts)[1]
        for words, texts in zip(found, wanted, strict=True)
    )
    brevity = min(0.0, 1 - closest / length) if length else -math.inf
    logs = [math.log(right / all) if right else -math.inf for right, all in zip(correct, total, strict=True)]
    return tuple(math.exp(brevity + sum(logs[:order]) / order) for order in ORDERS)


def rouge_l(words: Words, texts: Sequence[Words]) -> float:
    """F-measure of the longest common subsequence (Lin 2004), of the best precision and the best recall.

    They may be of different references: so it is in COCO's code.
    """
    common = [LCSseq.similarity(words, text) for text in texts]
    if not any(common):
        return 0.0
    precision = max(common) / len(words)
    recall = max(length / len(text) for length, text in zip(common, texts, strict=True))
    return (1 + ROUGE_BETA**2) * precision * recall / (recall + ROUGE_BETA**2 * precision)


def cider_d(found: Sequence[Words], wanted: Sequence[Sequence[Words]]) -> list[float]:
    """CIDEr-D of each image (Vedantam et al. 2015, arXiv 1411.5726, section 7), of words as they are, not of stems.

    How rare an n-gram is, is counted in these references, by images: so scores of different sets of images do not
    compare, and that of a single image is 0.
    """
    metric = CiderD(wanted)
    return [metric([words], texts)[0] for words, texts in zip(found, wanted, strict=True)]


class CiderD:
    """CIDEr-D as `cider_d` says it, with the n-grams' rarity counted in references that may be others' (training's)."""

    def __init__(self, references: Sequence[Sequence[Words]]) -> None:
        self._images = Counter(
            gram for texts in references for gram in {g for text in texts for n in ORDERS for g in _ngrams(text, n)}
        )
        self._total = len(references)

    def __call__(self, found: Sequence[Words], texts: Sequence[Words]) -> list[float]:
        """Of each of several captions of one image."""
        wanted = [(len(text), self._weigh(text)) for text in texts]
        scores = []
        for words in found:
            own, total = self._weigh(words), 0.0
            for length, other in wanted:
                # the length is that in bigrams, as in COCO's code; it matters for captions without words
                difference = max(len(words) - 1, 0) - max(length - 1, 0)
                penalty = math.exp(-(difference**2) / (2 * CIDER_SIGMA**2))
                total += penalty * sum(map(_clipped_cosine, own, other))
            scores.append(10 * total / len(texts) / len(ORDERS))
        return scores

    def _weigh(self, words: Words) -> list[dict[Any, float]]:
        """For each order, the n-grams' counts times the log of all images over those that have it."""
        images, total = self._images, self._total
        return [
            {gram: count * math.log(total / max(images[gram], 1)) for gram, count in _ngrams(words, n).items()}
            for n in ORDERS
        ]


def _clipped_cosine(found: dict[Any, float], wanted: dict[Any, float]) -> float:
    """Of two vectors, the first of which counts nowhere more than the second."""
    product = sum(min(weight, wanted[gram]) * wanted[gram] for gram, weight in found.items() if gram in wanted)
    return product / (math.hypot(*found.values()) * math.hypot(*wanted.values())) if product else 0.0


def _ngrams(words: Words, order: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[at:] for at in range(order)), strict=False))


def _best_meteor(words: Words, texts: Sequence[Words]) -> tuple[int, int, int, int]:
    """What `_meteor` needs, of the reference that gives the highest score, of several the shortest."""
    stems = [_stem(word) for word in words]
    counts = [(*_aligned(stems, [_stem(word) for word in text]), len(words), len(text)) for text in texts]
    return max(counts, key=lambda count: (_meteor(*count), -count[3]))


def _meteor(matches: int, chunks: int, found: int, wanted: int) -> float:
    """METEOR (Lavie & Agarwal 2007) of how many words match, in how many chunks, of so many found and wanted."""
    if not matches:
        return 0.0
    precision, recall = matches / found, matches / wanted
    mean = precision * recall / (METEOR_ALPHA * precision + (1 - METEOR_ALPHA) * recall)
    return mean * (1 - METEOR_GAMMA * (chunks / matches) ** METEOR_BETA)


def _aligned(found: Sequence[str], wanted: Sequence[str]) -> tuple[int, int]:
    """How many words can be matched one to one, and in how many chunks that are whole in both.

    Equal words have equal stems, so stems say which match. The longest common chunk is taken first (Wise 1993, greedy
    string tiling): the fewest chunks in nearly all cases, where finding them in all would take exponential time.
    """
    left: list[str | None] = list(found)
    right: list[str | int] = list(wanted)
    matches = chunks = 0
    while (run := SequenceMatcher(None, left, right, autojunk=False).find_longest_match()).size:
        left[run.a : run.a + run.size] = [None] * run.size
        right[run.b : run.b + run.size] = [0] * run.size  # equal to nothing on the left
        matches, chunks = matches + run.size, chunks + 1
    return matches, chunks


@cache
def _stem(word: str) -> str:
    """Of an English word, by Porter's algorithm of 1980 as Snowball has it."""
    return _stemmer().stemWord(word)


@cache
def _stemmer() -> Any:
    import snowballstemmer

    return snowballstemmer.stemmer("porter")
