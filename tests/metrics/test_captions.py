"""Caption scores against values computed by hand and by the programs that others use."""

from __future__ import annotations

import math
from collections import Counter
from itertools import permutations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import InputError
from asr.metrics.captions import _match_stems, score

CAPTIONS = [
    (
        "a brown dog runs through the grass",
        ["a brown dog is running through the grass", "the dog runs in the tall grass", "a dog running"],
    ),
    (
        "two children are playing on a swing",
        ["two girls play on the swings", "children playing outside on a swing set in the park"],
    ),
    (
        "a man in a red shirt is climbing a rock",
        ["a man climbs up a rock wall", "a rock climber in a red shirt", "a man in red climbing"],
    ),
    ("a a a a dog", ["a black dog and a white dog play with a ball"]),
    ("surfer riding wave", ["a surfer rides a big wave in the ocean", "the man is riding a wave"]),
    ("people sit", ["a group of people sit at a table eating dinner"]),
]
HYPOTHESES = [hypothesis for hypothesis, _ in CAPTIONS]
REFERENCES = [references for _, references in CAPTIONS]

# sacrebleu 2.6.0: BLEU(tokenize="none", smooth_method="none", max_ngram_order=1 … 4)
BLEU = (0.6019890133250455, 0.45316086646241693, 0.3368163754645721, 0.19788789329797063)
# pycocoevalcap 1.2: CiderScorer(n=4, sigma=6.0) and Rouge()
CIDER_D = (
    2.195292508707588,
    1.634367815233912,
    2.43651088541378,
    0.7089265823437,
    1.1316648655311257,
    0.85648393855664,
)
ROUGE_L = (0.79049676, 0.57009346, 0.70930233, 0.3512476, 0.41924399, 0.29756098)
# nltk 3.10.4: meteor_score, Porter's original algorithm, without WordNet; but the third by hand, as nltk does not look
# for the fewest chunks: "a man in", "red", "climbing" are 5 of 10 and of 5 words in 3 chunks
METEOR = (
    0.8757427021441488,
    0.5174180327868853,
    0.5 / 0.55 * (1 - 0.5 * 0.6**3),
    0.19230769230769232,
    0.3042328042328042,
    0.20380434782608695,
)


def test_values_of_other_programs() -> None:
    scores = score(HYPOTHESES, REFERENCES)
    assert scores.bleu == pytest.approx(BLEU, abs=1e-9)
    assert [image.cider_d for image in scores.images] == pytest.approx(CIDER_D, abs=1e-9)
    assert [image.rouge_l for image in scores.images] == pytest.approx(ROUGE_L, abs=1e-8)
    assert [image.meteor for image in scores.images] == pytest.approx(METEOR, abs=1e-9)
    assert scores.cider_d == pytest.approx(sum(CIDER_D) / 6) and scores.rouge_l == pytest.approx(sum(ROUGE_L) / 6)
    assert list(scores.named()) == [f"BLEU-{n}" for n in range(1, 5)] + ["METEOR (exact, stem)", "ROUGE-L", "CIDEr-D"]
    assert list(scores.named().values()) == [*scores.bleu, scores.meteor, scores.rouge_l, scores.cider_d]


def test_bleu_by_hand() -> None:
    # Papineni et al. 2002, section 2.1: no more "the" are right than a reference has, 2 of 7
    scores = score(["the the the the the the the"], [["the cat is on the mat", "there is a cat on the mat"]])
    assert scores.bleu == pytest.approx((2 / 7, 0, 0, 0))
    # both references are one word off; the shorter counts: no penalty. 3 of 4 words, 1 of 3 pairs
    scores = score(["a b c x"], [["a b y z c", "c b y"]])
    assert scores.bleu[:2] == pytest.approx((3 / 4, math.sqrt(3 / 4 * 1 / 3)))
    # over two images, counts are added before they are divided; 5 words for 4 + 3
    scores = score(["a b", "a b c"], [["a b c d"], ["a b c"]])
    assert scores.bleu[:3] == pytest.approx([math.exp(1 - 7 / 5)] * 3) and scores.bleu[3] == 0


def test_rouge_by_hand() -> None:
    # "police the gunman" is common (Lin 2004, section 3.1): 3 of 4 words both ways
    scores = score(["police kill the gunman"], [["police killed the gunman"]])
    assert scores.rouge_l == pytest.approx(3 / 4)
    # precision 2 / 3 from the first, recall 1 from the second: 2.44 * 2 / 3 / (1 + 1.44 * 2 / 3)
    both = score(["a b c"], [["a x b y"], ["b"]][:1]), score(["a b c"], [["a x b y", "b"]])
    assert [each.rouge_l for each in both] == pytest.approx(
        [2.44 * (2 / 3) * (1 / 2) / (1 / 2 + 1.44 * 2 / 3), 2.44 * (2 / 3) / (1 + 1.44 * 2 / 3)]
    )


def test_cider_by_hand() -> None:
    # every n-gram occurs with one of two images, so all weights are log 2; clipping takes one of the two "a"
    scores = score(["a a", "x"], [["a"], ["x y"]])
    assert scores.images[0].cider_d == pytest.approx(10 / 4 * (2 * 1) / (2 * 2) * 2 / 2 * math.exp(-1 / 72))
    assert scores.images[1].cider_d == pytest.approx(10 / 4 * 1 / math.sqrt(2) * math.exp(-1 / 72))
    # what all images have weighs nothing; so does everything of a single image
    assert score(["a", "a"], [["a"], ["a"]]).cider_d == 0 == score(["a b c d"], [["a b c d"]]).cider_d


def test_meteor_by_hand() -> None:
    # the examples of https://en.wikipedia.org/wiki/METEOR
    assert score(["the cat sat on the mat"], [["the cat sat on the mat"]]).meteor == pytest.approx(0.9977, abs=5e-5)
    assert score(["the cat was sat on the mat"], [["the cat sat on the mat"]]).meteor == pytest.approx(
        60 / 61 * (1 - (2 / 6) ** 3 / 2)  # 0.9654
    )
    # stems: dogs, running
    assert score(["dogs running"], [["dog runs"]]).meteor == pytest.approx(1 - (1 / 2) ** 3 / 2)
    # of the corpus: 1 + 2 words match in 1 + 1 chunks, of 1 + 3 of the hypotheses and 2 + 2 of the references
    assert score(["a", "b c d"], [["a x"], ["b c"]]).meteor == pytest.approx(3 / 4 * (1 - (2 / 3) ** 3 / 2))


WORDS = st.lists(st.sampled_from("abc"), min_size=1, max_size=5)


def fewest_chunks(hyp: list[str], ref: list[str], matches: int) -> int:
    best = matches
    for order in permutations(range(len(ref)), len(hyp)) if len(hyp) <= len(ref) else ():
        kept = [(i, j) for i, j in enumerate(order) if hyp[i] == ref[j]]
        if len(kept) == matches:
            best = min(best, sum((i - 1, j - 1) not in kept for i, j in kept))
    return best


@settings(max_examples=150, deadline=None)
@given(WORDS, WORDS)
def test_alignment(hyp: list[str], ref: list[str]) -> None:
    hyp, ref = sorted([hyp, ref], key=len)
    matches, chunks = _match_stems(hyp, ref)
    assert matches == (Counter(hyp) & Counter(ref)).total()
    assert _match_stems(ref, hyp)[0] == matches
    # that short, the longest chunks first are the fewest, but for a choice between equally long ones of repeated words
    fewest = fewest_chunks(hyp, ref, matches)
    repeated = len(set(hyp)) < len(hyp) or len(set(ref)) < len(ref)
    assert fewest <= chunks <= fewest + repeated


SENTENCES = st.lists(st.sampled_from(["dog", "dogs", "a", "the", "runs", "park"]), min_size=1, max_size=9).map(" ".join)
CORPORA = st.lists(
    st.tuples(SENTENCES | st.just(""), st.lists(SENTENCES, min_size=1, max_size=4)), min_size=1, max_size=5
)


@settings(max_examples=60, deadline=None)
@given(CORPORA, st.randoms(use_true_random=False))
def test_order_does_not_matter(corpus: list[tuple[str, list[str]]], random: Random) -> None:
    first = score([h for h, _ in corpus], [r for _, r in corpus])
    order = random.sample(range(len(corpus)), len(corpus))
    shuffled = [(corpus[i][0], random.sample(corpus[i][1], len(corpus[i][1]))) for i in order]
    second = score([h for h, _ in shuffled], [r for _, r in shuffled])
    assert list(second.named().values()) == pytest.approx(list(first.named().values()))
    for image, i in zip(second.images, order, strict=True):
        assert vars(image) == pytest.approx(vars(first.images[i]))
    for value, highest in zip(first.named().values(), [1] * 6 + [10], strict=True):
        assert 0 <= value <= highest + 1e-9


@settings(max_examples=60, deadline=None)
@given(st.lists(SENTENCES, min_size=1, max_size=5), SENTENCES)
def test_a_caption_like_a_reference_is_perfect(texts: list[str], other: str) -> None:
    scores = score(texts, [[other, text] for text in texts])
    longest = max(len(text.split()) for text in texts)
    assert scores.bleu == pytest.approx([float(longest >= order) for order in range(1, 5)])
    assert scores.rouge_l == pytest.approx(1)
    for text, image in zip(texts, scores.images, strict=True):
        assert image.meteor >= 1 - 0.5 / len(text.split()) ** 3 - 1e-9


@settings(max_examples=60, deadline=None)
@given(CORPORA)
def test_bleu_is_sacrebleus(corpus: list[tuple[str, list[str]]]) -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    hypotheses, references = [h for h, _ in corpus], [r for _, r in corpus]
    streams = [[r[k] if k < len(r) else None for r in references] for k in range(max(map(len, references)))]
    for order, scores in enumerate(score(hypotheses, references).bleu, start=1):
        metric = sacrebleu.BLEU(tokenize="none", smooth_method="none", max_ngram_order=order)
        assert scores == pytest.approx(metric.corpus_score(hypotheses, streams).score / 100, abs=1e-6)


def test_captions_without_words() -> None:
    scores = score(["", "dog"], [["a dog"], ["a dog"]])
    assert vars(scores.images[0]) == {"meteor": 0, "rouge_l": 0, "cider_d": 0}
    assert set(score([""], [["a dog"]]).named().values()) == {0}


def test_what_cannot_be_scored() -> None:
    with pytest.raises(InputError, match="captions of 1 images, references of 2"):
        score(["a"], [["a"], ["b"]])
    with pytest.raises(InputError, match="captions of 0 images"):
        score([], [])
    with pytest.raises(InputError, match=r"image 1: no references, or one without words: \[\]"):
        score(["a", "b"], [["a"], []])
    with pytest.raises(InputError, match=r"image 0: no references, or one without words: \['a', ' '\]"):
        score(["a"], [["a", " "]])
