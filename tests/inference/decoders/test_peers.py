"""What the tests of pyctcdecode, ctcdecode and fast-ctc-decode ask of a decoder, with words and scores of our own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asr.decoding.hypothesis import Hypothesis
from asr.errors import InputError
from asr.inference.decoders.beam import BeamDecoder
from asr.inference.decoders.factory import make_decoder
from asr.lm import arpa
from asr.lm.estimate import encode_sentences, kneser_ney
from asr.text.normalization import TextNormalizer
from asr.text.vocabulary import Vocabulary

LETTERS = Vocabulary("characters", ("<blank>", " ", *"ptinsyz"))
PINS, PINNY = "pins??", "pin?ny"  # ? is blank


def frames(*texts: tuple[str, float], vocabulary: Vocabulary = LETTERS) -> np.ndarray:
    """Probabilities (T, V): in each frame a mixture of texts of one length, with their shares."""
    p = np.full((len(texts[0][0]), len(vocabulary)), 1e-12)
    for text, share in texts:
        for row, token in zip(p, text, strict=True):
            row[vocabulary.blank if token == "?" else vocabulary.tokens.index(token)] += share
    return p / p.sum(1, keepdims=True)


# rather "pinny" than "pins", surely "pinny"; and surely "pins", rather "pins" than "pinny"
FIRST = np.concatenate([frames((PINS, 0.49), (PINNY, 0.51)), frames((" " + PINNY, 1.0))])
SECOND = np.concatenate([frames(("pins ", 1.0)), frames((PINS, 0.51), (PINNY, 0.49))])


@pytest.fixture
def lm(tmp_path: Path) -> Path:
    """A bigram model in which "pins pinny" is frequent."""
    arpa.write(kneser_ney(encode_sentences([["pins", "pinny"]] * 5 + [["pinny"], ["pins"]]), 2), tmp_path / "lm.arpa")
    return tmp_path / "lm.arpa"


def decoder(**options: Any) -> BeamDecoder:
    made = make_decoder(LETTERS, {"type": "beam", **options})
    assert isinstance(made, BeamDecoder)
    return made


def nbest(p: np.ndarray, **options: Any) -> list[str]:
    made = decoder(nbest=20, **options)
    return [made.text(hypothesis) for hypothesis in made.search(np.log(p)[None], np.array([len(p)]))[0]]


def best(p: np.ndarray, **options: Any) -> str:
    return nbest(p, **options)[0]


def test_a_language_model_and_its_weight(lm: Path) -> None:
    assert best(FIRST) == "pinny pinny"
    assert best(FIRST, lm=lm, lm_weight=0.0) == "pinny pinny"
    assert best(FIRST, lm=lm, lm_weight=1.0) == "pins pinny"
    assert nbest(FIRST, lm=lm, lm_weight=1.0)[:2] == ["pins pinny", "pinny pinny"]
    # only labels that are the most probable of their frame
    assert best(FIRST, lm=lm, lm_weight=1.0, min_label_prob=0.5) == "pinny pinny"


def test_words_that_a_model_lacks(tmp_path: Path) -> None:
    arpa.write(kneser_ney(encode_sentences([["pinny", "pinny"]] * 3), 2), tmp_path / "lm.arpa")
    sure = np.concatenate([frames((PINS, 0.9), (PINNY, 0.1)), frames((" " + PINNY, 1.0))])
    options = {"lm": tmp_path / "lm.arpa", "lm_weight": 0.1}
    assert best(sure, unknown_words=0.0, **options) == "pins pinny"
    assert best(sure, unknown_words=-20.0, **options) == "pinny pinny"
    assert best(sure, **options) == "pinny pinny"  # impossible


def test_what_was_said_before_counts_in_pieces_too(lm: Path) -> None:
    assert best(SECOND) == "pins pins"
    made = decoder(lm=lm, lm_weight=1.0)
    assert best(SECOND, lm=lm, lm_weight=1.0) == "pins pinny"
    apart = [best(piece, lm=lm, lm_weight=1.0) for piece in (SECOND[:5], SECOND[5:])]
    assert apart == ["pins", "pins"]
    search = made.start()
    for row in np.log(SECOND):
        search.feed(row[None])
    assert made.text(search.finish()[0]) == "pins pinny"


def test_hot_words(lm: Path) -> None:
    with_lm = {"lm": lm, "lm_weight": 1.0}
    assert best(FIRST, **with_lm, hotwords={"pinny": 20}) == "pinny pinny"
    assert best(FIRST, **with_lm, hotwords={"pins": 20, "pinny": 20}) == "pins pinny"
    assert best(FIRST, **with_lm, hotwords={"pins pinny": 20}) == "pins pinny"
    assert best(FIRST, hotwords=["pins"]) == "pins pinny"
    assert best(FIRST, hotwords={"pins pinny": 1.0}) == "pins pinny"
    # below 0 they are avoided, and not written as an unknown word either
    assert best(FIRST, **with_lm, hotwords={"pins": -20}) == "pinny pinny"
    assert best(frames((PINNY, 0.6), ("pin???", 0.4))) == "pinny"
    assert best(frames((PINNY, 0.6), ("pin???", 0.4)), hotwords={"pinny": -5}) in ("pin", "piny")
    # of two spellings of one phrase the last counts
    assert best(FIRST, hotwords="pins=-20,pins=9") == best(FIRST, hotwords={"pins": -20, " pins ": 9}) == "pins pinny"


@pytest.mark.parametrize("bonus", [1.0, 5.0, 20.0])
def test_a_hot_word_is_written_or_has_no_effect(bonus: float) -> None:
    """pyctcdecode's partial words: its hot word "discusd" turned "discust" into "discus"."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        p = rng.dirichlet(np.full(len(LETTERS), 0.15), 12)
        cold, hot = best(p, beam=300), best(p, beam=300, hotwords={"tin": bonus})
        assert hot == cold or "tin" in hot.split()


def test_huge_scores() -> None:
    assert best(FIRST, hotwords={"pins": 290.0}).startswith("pins")
    assert best(FIRST, hotwords={"pins": -1000.0}) == "pinny pinny"
    sure = np.log(FIRST)[None]
    made = decoder(hotwords={"pins": 290.0, "pinny": -290.0})
    ((found, *_),) = made.search(sure, np.array([len(FIRST)]))
    assert np.isfinite(found.score) and all(0 <= p <= 1 for p in made.confidence(found))
    for options in ({"hotwords": {"pins": 1000}}, {"hotwords": {"pins tins": 301.0}}, {"word_bonus": 1e4}):
        with pytest.raises(InputError, match=r"add up to .* at once: use at most 300"):
            decoder(**{"hotwords": ["pins"], **options})


def test_words_that_begin_like_an_avoided_one_are_not_avoided() -> None:
    p = frames(("pinsy", 0.7), ("tinty", 0.3))
    p = 0.999 * p + 0.001 / len(LETTERS)
    for beam in (3, 100):
        assert best(p, beam=beam, hotwords={"pins": -8.0}) == best(p) == "pinsy"


def test_probabilities_of_texts() -> None:
    p = np.random.default_rng(3).dirichlet(np.full(4, 0.5), 6)
    vocabulary = Vocabulary("characters", ("<blank>", " ", "a", "b"))
    made = make_decoder(vocabulary, {"beam": 5000, "nbest": 5000})
    hypotheses = made.search(np.log(p)[None], np.array([6]))[0]
    scores, texts = [h.score for h in hypotheses], [made.text(h) for h in hypotheses]
    assert scores == sorted(scores, reverse=True) and len(set(texts)) == len(texts) > 100
    assert np.exp(scores).sum() == pytest.approx(1.0)
    few = make_decoder(vocabulary, {"beam": 5000, "nbest": 5})
    assert [few.text(h) for h in few.search(np.log(p)[None], np.array([6]))[0]] == texts[:5]


def spans(hypothesis: Hypothesis, made: Any) -> list[tuple[str, int, int]]:
    frames = hypothesis.frames
    return [(word, frames[first][0], frames[end - 1][1]) for word, first, end in made.words(hypothesis)]


def test_times_of_words(lm: Path) -> None:
    for options, first in (({"lm": lm, "lm_weight": 1.0}, ("pins", 0, 4)), ({}, ("pinny", 0, 6))):
        made = decoder(**options)
        (found, *_) = made.search(np.log(FIRST)[None], np.array([13]))[0]
        assert spans(found, made) == [first, ("pinny", 7, 13)]
    made = decoder()
    stretched = frames((" ?pin?nny?  ", 1.0))
    (found, *_) = made.search(np.log(stretched)[None], np.array([12]))[0]
    assert spans(found, made) == [("pinny", 2, 9)]


def test_sentencepiece_units() -> None:
    sentences = ["pins pinny", "pinny tins", "tiny pins", "pinny pins pins"] * 3
    vocabulary = Vocabulary.train_sentencepiece(sentences, 11, TextNormalizer.english())
    labels = vocabulary.encode("pins pinny")
    path = [vocabulary.blank]
    for label in labels:
        path += [label, label, vocabulary.blank]
    p = np.full((len(path), len(vocabulary)), 1e-9)
    p[np.arange(len(path)), path] = 1 - 1e-9 * (len(vocabulary) - 1)
    made = make_decoder(vocabulary, {"beam": 20, "nbest": 3})
    (found, *_) = made.search(np.log(p)[None], np.array([len(path)]))[0]
    (one, one_begin, one_end), (two, two_begin, two_end) = spans(found, made)
    assert (one, two) == ("pins", "pinny") and one_begin == 1 and one_end <= two_begin and two_end == len(path) - 1
    assert made.text(found) == "pins pinny"
