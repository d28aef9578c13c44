"""Confidence of words that a search with models found: what they made it pass over counts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asr.decoding.ctc.alignment import AROUND, REACH, align, align_hypothesis
from asr.inference.decoders.factory import make_decoder
from asr.lm import arpa
from asr.lm.estimate import encode_sentences, kneser_ney
from asr.text.vocabulary import Vocabulary

LETTERS = Vocabulary("characters", ("<blank>", " ", *"abcdefghijklmnopqrstuvwxyz"))
PHONES = Vocabulary.phones(["k", "ae", "t", "b", "iy"])


def saying(tokens: Sequence[str], p: float = 0.9999, vocabulary: Vocabulary = LETTERS) -> np.ndarray:
    """Log-probabilities (1, T, V) of a network that is sure of a token in each frame; of the blank for a ?."""
    scores = np.full((1, len(tokens), len(vocabulary)), (1 - p) / (len(vocabulary) - 1))
    for row, token in zip(scores[0], tokens, strict=True):
        row[vocabulary.blank if token == "?" else vocabulary.tokens.index(token)] = p
    return np.log(scores)


@pytest.fixture
def lm(tmp_path: Path) -> Path:
    arpa.write(kneser_ney(encode_sentences([["a"], ["b"], ["a", "b"]]), 1), tmp_path / "lm.arpa")
    return tmp_path / "lm.arpa"


def confidences(log_probs: np.ndarray, vocabulary: Vocabulary = LETTERS, **options: Any) -> list[tuple[str, float]]:
    decoder = make_decoder(vocabulary, {"type": "beam", **options})
    (best, *_) = decoder.search(log_probs, np.array([log_probs.shape[1]]))[0]
    return [(word, p) for (word, _, _), p in zip(decoder.words(best), decoder.confidence(best), strict=True)]


@pytest.mark.parametrize("spoken", ["cat", "?c?a?t?", "??cc??aa??tt"])
def test_a_closed_vocabulary_that_lacks_the_word(lm: Path, spoken: str) -> None:
    ((word, p),) = confidences(saying(spoken), lm=lm)
    assert word == "a" and p < 1e-6
    ((word, p),) = confidences(saying(spoken), lm=lm, unknown_words=-3.0)
    assert word == "cat" and p > 0.99
    ((word, p),) = confidences(saying(spoken), lm=lm, calibration=[1.0, 2.0])
    assert word == "a" and p < 1e-4


def test_only_the_word_in_place_of_others(lm: Path) -> None:
    assert [word for word, p in confidences(saying("b cat b"), lm=lm) if p > 0.99] == ["b", "b"]
    words = confidences(saying("a b" + "?" * (REACH + 1) + "zq" + "?" * (REACH + 1) + "b"), lm=lm)
    assert [(word, p > 0.99) for word, p in words] == [("a", True), ("b", True), ("b", True)]  # noise in a pause


def test_words_that_were_recognized_keep_their_confidence(lm: Path) -> None:
    for spoken in ("a b", "?a?? ?b?", "aa bb"):
        with_lm, without = confidences(saying(spoken, 0.8), lm=lm), confidences(saying(spoken, 0.8))
        assert with_lm == without and [p for _, p in with_lm] == pytest.approx([0.8, 0.8])


def test_a_hot_word_in_place_of_another() -> None:
    log_probs = saying("cat", 0.999)
    assert confidences(log_probs, hotwords={"bat": 30.0}) == [("bat", pytest.approx(0.001 / 27, rel=0.01))]


def test_a_lexicon_of_phones(tmp_path: Path) -> None:
    (tmp_path / "lexicon.txt").write_text("at AE T\nbee B IY\n")
    spoken = saying(["b", "iy", "k", "ae", "t"], vocabulary=PHONES)
    (bee, p_bee), (at, p_at) = confidences(spoken, PHONES, lexicon=tmp_path / "lexicon.txt")
    assert (bee, at) == ("bee", "at") and p_bee > 0.99 and p_at < 1e-4


def test_certainty_equals_a_plain_implementation() -> None:
    rng = np.random.default_rng(0)
    log_probs = np.log(rng.dirichlet(np.full(5, 0.3), 80))
    found = align_hypothesis(log_probs, (1, 2, 4, 3))
    for (begin, end), certainty in zip(found.frames, found.certainty, strict=True):
        near = [frame for t, frame in enumerate(np.exp(log_probs)) if begin - AROUND <= t < end + AROUND]
        heard = [1 - frame[0] for frame in near]
        assert certainty == pytest.approx(
            sum(h * max(frame[1:]) for h, frame in zip(heard, near, strict=True)) / sum(heard)
        )
    assert align_hypothesis(log_probs, ()).certainty == ()


DOUBTFUL = {"calibration": [0.2, 2.0, 6.0], "min_confidence": 0.2}


@pytest.mark.parametrize("models", [True, False], ids=["words", "characters"])
def test_what_is_most_likely_no_speech_is_left_out(lm: Path, models: bool) -> None:
    """Between pauses, whole: a weak word beside others stays."""
    options: dict[str, Any] = {"lm": lm} if models else {}
    pause, spoken = "?" * 40, "a b a "
    log_probs = saying(f"{pause}{spoken}{pause}b a {pause}a", 0.9999)
    begin = 2 * len(pause) + len(spoken)
    for t in range(begin, begin + 4):  # one of ten letters, but which?
        frame = np.full(len(LETTERS), 0.001)
        frame[LETTERS.tokens.index("c") :][:10] = 0.05
        frame[log_probs[0, t].argmax()] = 0.3
        log_probs[0, t] = np.log(frame / frame.sum())
    found = {}
    variants: dict[str, dict[str, Any]]
    variants = {"all": {"min_confidence": 0.0}, "sure": {}, "two": {"calibration": [0.2, 2.0]}}
    for name, changed in variants.items():
        decoder = make_decoder(LETTERS, {"type": "beam", **options, **DOUBTFUL, **changed})
        (best, *_) = decoder.search(log_probs, np.array([log_probs.shape[1]]))[0]
        search = decoder.start()
        search.feed(log_probs[0])
        assert search.finish()[0] == best
        found[name] = [(word, best.frames[label]) for word, label, _ in decoder.words(best)]
        if name == "all":
            confidence = decoder.confidence(best)
    assert [word for word, _ in found["all"]] == ["a", "b", "a", "b", "a", "a"] and found["two"] == found["all"]
    assert max(confidence[3:5]) < 0.2 < 0.8 < min(*confidence[:3], confidence[5])
    assert found["sure"] == found["all"][:3] + found["all"][5:]


def test_equals_a_plain_implementation() -> None:
    rng = np.random.default_rng(0)
    for words in [(), ((0, 0, 2), (1, 3, 4))]:
        log_probs = np.log(rng.dirichlet(np.full(5, 0.5), 40))
        labels = (1, 2, 4, 3)
        free = log_probs.max(1)
        path, _ = align(log_probs, labels)
        plain = align_hypothesis(log_probs, labels)
        found = align_hypothesis(log_probs, labels, words=words, free=free)
        assert (found.labels, found.frames, found.score) == (plain.labels, plain.frames, plain.score)
        owners = [0, 1, 3] if words else [0, 1, 2, 3]
        ratios = dict.fromkeys(range(4), 1.0)
        for t, frame in enumerate(log_probs):
            middle = [(plain.frames[a][1] + plain.frames[b][0]) / 2 for a, b in pairwise(owners)]
            owner = owners[sum(m < t + 0.5 for m in middle)]
            begin, end = plain.frames[owner]
            if begin - REACH <= t < end + REACH:
                ratios[owner] *= np.exp(frame[labels[path[t]] if path[t] >= 0 else 0] - free[t])
        expected = [min(peak, ratios[label]) for label, peak in enumerate(plain.confidence)]
        assert found.confidence == pytest.approx(expected)
