"""Caption metrics: BLEU, METEOR, ROUGE-L and CIDEr-D, as the COCO caption evaluation defines them, without Java.

Captions are compared word by word, split at white space: tokenize both sides first
(`asr.data.caption_manifest.tokenize`). Scores are fractions from 0 to 1, CIDEr-D from 0 to 10. ROUGE-L and CIDEr-D are
those of https://github.com/tylin/coco-caption (Chen et al. 2015, arXiv 1504.00325).
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
ROUGE_BETA = 1.2  # weight of recall over precision
CIDER_SIGMA = 6.0  # of the Gaussian penalty on the difference in length, in words
# METEOR's weight of recall, and exponent and weight of the penalty: of Lavie & Agarwal 2007, the metric's paper 3
METEOR_ALPHA, METEOR_BETA, METEOR_GAMMA = 0.9, 3.0, 0.5

Words = list[str]


@dataclass(frozen=True)
class ImageScores:
    """Scores of the caption of one image."""

    meteor: float
    rouge_l: float
    cider_d: float


@dataclass(frozen=True)
class CaptionScores:
    """Scores of a corpus.

    Attributes:
        bleu: BLEU-1 to BLEU-4.
        meteor: METEOR.
        rouge_l: mean ROUGE-L.
        cider_d: mean CIDEr-D.
        images: scores of each image.
    """

    bleu: tuple[float, ...]
    meteor: float
    rouge_l: float
    cider_d: float
    images: tuple[ImageScores, ...]

    def named(self) -> dict[str, float]:
        """Return the corpus's scores by the names to print; METEOR is without synonyms and paraphrases."""
        bleu = {f"BLEU-{order}": score for order, score in zip(ORDERS, self.bleu, strict=True)}
        return bleu | {"METEOR (exact, stem)": self.meteor, "ROUGE-L": self.rouge_l, "CIDEr-D": self.cider_d}


def score(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> CaptionScores:
    """Score one caption of each image against any number of reference captions.

    Args:
        hypotheses: caption of each image.
        references: captions of each image by people.

    Raises:
        InputError: different numbers of images, none at all, or an image without references or with an empty one.
    """
    if len(hypotheses) != len(references) or not hypotheses:
        raise InputError(f"captions of {len(hypotheses)} images, references of {len(references)}")
    hyps = [text.split() for text in hypotheses]
    refs = [[text.split() for text in texts] for texts in references]
    for number, texts in enumerate(refs):
        if not texts or not all(texts):
            raise InputError(f"image {number}: no references, or one without words: {list(references[number])}")
    # METEOR of the corpus is that of the summed counts, as in its authors' program
    counts = [_best_meteor(hyp, texts) for hyp, texts in zip(hyps, refs, strict=True)]
    rouge = [rouge_l(hyp, texts) for hyp, texts in zip(hyps, refs, strict=True)]
    cider = cider_d(hyps, refs)
    images = tuple(
        ImageScores(_meteor(*count), image_rouge, image_cider)
        for count, image_rouge, image_cider in zip(counts, rouge, cider, strict=True)
    )
    meteor = _meteor(*(sum(column) for column in zip(*counts, strict=True)))
    return CaptionScores(bleu(hyps, refs), meteor, sum(rouge) / len(rouge), sum(cider) / len(cider), images)


def bleu(hyps: Sequence[Words], refs: Sequence[Sequence[Words]]) -> tuple[float, ...]:
    """Compute BLEU-1 … BLEU-4 of a corpus (Papineni et al. 2002) without smoothing: sacreBLEU's without tokenization.

    The brevity penalty takes the length of the closest reference, the shorter of two that are equally close. So does
    sacreBLEU, and COCO's code, which only differs in adding 1e-15 to counts, so that none is 0.
    """
    correct, total = [0] * len(ORDERS), [0] * len(ORDERS)
    for hyp, texts in zip(hyps, refs, strict=True):
        for at, order in enumerate(ORDERS):
            allowed = reduce(or_, (_ngrams(ref, order) for ref in texts))
            correct[at] += (_ngrams(hyp, order) & allowed).total()
            total[at] += max(len(hyp) - order + 1, 0)
    length = sum(map(len, hyps))
    closest = sum(
        min((abs(len(ref) - len(hyp)), len(ref)) for ref in texts)[1] for hyp, texts in zip(hyps, refs, strict=True)
    )
    brevity = min(0.0, 1 - closest / length) if length else -math.inf
    logs = [math.log(matches / all) if matches else -math.inf for matches, all in zip(correct, total, strict=True)]
    return tuple(math.exp(brevity + sum(logs[:order]) / order) for order in ORDERS)


def rouge_l(hyp: Words, refs: Sequence[Words]) -> float:
    """Compute the F-measure of the longest common subsequence (Lin 2004), of the best precision and the best recall.

    The two may be of different references, as in COCO's code.
    """
    common = [LCSseq.similarity(hyp, ref) for ref in refs]
    if not any(common):
        return 0.0
    precision = max(common) / len(hyp)
    recall = max(length / len(ref) for length, ref in zip(common, refs, strict=True))
    return (1 + ROUGE_BETA**2) * precision * recall / (recall + ROUGE_BETA**2 * precision)


def cider_d(hyps: Sequence[Words], refs: Sequence[Sequence[Words]]) -> list[float]:
    """Compute CIDEr-D of each image (Vedantam et al. 2015, arXiv 1411.5726, section 7), of words, not of stems.

    The inverse document frequency of n-grams is that of these references, where an image is a document: scores of
    different sets of images cannot be compared, and that of a single image is 0.
    """
    metric = CiderD(refs)
    return [metric([hyp], texts)[0] for hyp, texts in zip(hyps, refs, strict=True)]


class CiderD:
    """CIDEr-D with the document frequencies of given references, such as those of the training data; see `cider_d`.

    Args:
        references: reference captions of each image, as words.
    """

    def __init__(self, references: Sequence[Sequence[Words]]) -> None:
        self._images = Counter(
            gram for texts in references for gram in {g for text in texts for n in ORDERS for g in _ngrams(text, n)}
        )
        self._total = len(references)

    def __call__(self, hyps: Sequence[Words], refs: Sequence[Words]) -> list[float]:
        """Score each of several captions of one image against its references."""
        weighted = [(len(ref), self._weigh(ref)) for ref in refs]
        scores = []
        for hyp in hyps:
            own, total = self._weigh(hyp), 0.0
            for length, other in weighted:
                # lengths in bigrams, as in COCO's code, which matters for captions without words
                difference = max(len(hyp) - 1, 0) - max(length - 1, 0)
                penalty = math.exp(-(difference**2) / (2 * CIDER_SIGMA**2))
                total += penalty * sum(map(_clipped_cosine, own, other))
            scores.append(10 * total / len(refs) / len(ORDERS))
        return scores

    def _weigh(self, words: Words) -> list[dict[Any, float]]:
        """Return the tf-idf weights of the n-grams of each order."""
        images, total = self._images, self._total
        return [
            {gram: count * math.log(total / max(images[gram], 1)) for gram, count in _ngrams(words, n).items()}
            for n in ORDERS
        ]


def _clipped_cosine(hyp: dict[Any, float], ref: dict[Any, float]) -> float:
    """Return the cosine of two vectors, with the hypothesis clipped to the reference in the product."""
    product = sum(min(weight, ref[gram]) * ref[gram] for gram, weight in hyp.items() if gram in ref)
    return product / (math.hypot(*hyp.values()) * math.hypot(*ref.values())) if product else 0.0


def _ngrams(words: Words, order: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[at:] for at in range(order)), strict=False))


def _best_meteor(hyp: Words, refs: Sequence[Words]) -> tuple[int, int, int, int]:
    """Return the arguments of `_meteor` for the reference with the highest score, the shortest of several."""
    stems = [_stem(word) for word in hyp]
    counts = [(*_match_stems(stems, [_stem(word) for word in ref]), len(hyp), len(ref)) for ref in refs]
    return max(counts, key=lambda count: (_meteor(*count), -count[3]))


def _meteor(matches: int, chunks: int, hyp_length: int, ref_length: int) -> float:
    """Compute METEOR (Lavie & Agarwal 2007) from the numbers of matching words, of their chunks, and of all words."""
    if not matches:
        return 0.0
    precision, recall = matches / hyp_length, matches / ref_length
    mean = precision * recall / (METEOR_ALPHA * precision + (1 - METEOR_ALPHA) * recall)
    return mean * (1 - METEOR_GAMMA * (chunks / matches) ** METEOR_BETA)


def _match_stems(hyp: Sequence[str], ref: Sequence[str]) -> tuple[int, int]:
    """Match stems one to one; return the number of matches and of chunks, which are contiguous in both.

    Equal words have equal stems, so stems are enough. The longest common chunk is taken first (Wise 1993, greedy string
    tiling): that gives the fewest chunks in nearly all cases, where the exact minimum takes exponential time.
    """
    left: list[str | None] = list(hyp)
    right: list[str | int] = list(ref)
    matches = chunks = 0
    while (run := SequenceMatcher(None, left, right, autojunk=False).find_longest_match()).size:
        left[run.a : run.a + run.size] = [None] * run.size
        right[run.b : run.b + run.size] = [0] * run.size  # equal to nothing on the left
        matches, chunks = matches + run.size, chunks + 1
    return matches, chunks


@cache
def _stem(word: str) -> str:
    """Return the stem of an English word by Porter's algorithm of 1980, in Snowball's implementation."""
    return _stemmer().stemWord(word)


@cache
def _stemmer() -> Any:
    import snowballstemmer

    return snowballstemmer.stemmer("porter")
