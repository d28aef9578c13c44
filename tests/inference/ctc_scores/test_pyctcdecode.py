"""The published cases of pyctcdecode (its tests and tutorials): the same texts, scores and frames."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import asr

DATA = Path(__file__).parents[2] / "data" / "pyctcdecode"
ARPA = DATA / "bugs_bunny.arpa"
LABELS = [" ", "b", "g", "n", "s", "u", "y", ""]
LIBRI_LABELS = [*" abcdefghijklmnopqrstuvwxyz'"]
LIBRI_TEXT = (
    "i have a good deal of will you remember and what i have set my mind upon no doubt i shall some day achieve"
)


def certain(labels: list[str], tokens: list[str]) -> np.ndarray:
    """Probabilities (T, V) of frames that are sure of a label each."""
    return np.eye(len(labels))[[labels.index(token) for token in tokens]]


def log_probs(probs: np.ndarray) -> np.ndarray:
    return np.log(np.clip(probs, 1e-15, 1))


BUGS, BUNNY = certain(LABELS, [*"bugs"]), certain(LABELS, ["b", "u", "n", "", "n", "y"])
SPACE, BLANKS = certain(LABELS, [" "]), certain(LABELS, ["", ""])
BETWEEN = np.vstack([BUGS, BLANKS]) * 0.49 + BUNNY * 0.51  # "bunny", nearly "bugs"
SCORES = log_probs(np.vstack([BETWEEN, SPACE, BUNNY]))


def pyctcdecode(alpha: float = 0.5, beta: float = 1.5, unk_score_offset: float = -10.0, **options: Any) -> asr.Decoder:
    """Return a decoder with pyctcdecode's options and defaults; its offset is a log10, and weighted."""
    unknown = alpha * math.log(10) * unk_score_offset
    return asr.Decoder(LABELS, lm=ARPA, lm_weight=alpha, word_bonus=beta, unknown_words=unknown, **options)


@pytest.fixture(scope="module")
def libri() -> np.ndarray:
    return np.array(json.loads(gzip.decompress((DATA / "libri_logits.json.gz").read_bytes())))


def test_the_tutorial(libri: np.ndarray) -> None:
    found = asr.Decoder(LIBRI_LABELS, scores="logits").decode(libri)
    assert found.text == LIBRI_TEXT
    assert [word.text for word in found.words] == LIBRI_TEXT.split()
    assert all(0 <= word.start < word.end <= len(libri) for word in found.words)


def test_the_tutorial_as_word_pieces(libri: np.ndarray) -> None:
    decoder = asr.Decoder(["▁⁇▁", "▁", *("##" + label for label in LIBRI_LABELS[1:])], scores="logits")
    found = decoder.decode(np.hstack([np.full((len(libri), 1), -100.0), libri]))
    assert found.text == LIBRI_TEXT
    plain = asr.Decoder(LIBRI_LABELS, scores="logits").decode(libri)
    assert [(w.start, w.end) for w in found.words] == [(w.start, w.end) for w in plain.words]


def test_language_models() -> None:
    assert asr.Decoder(LABELS).decode(SCORES).text == "bunny bunny"
    assert pyctcdecode(0.0).decode(SCORES).text == "bunny bunny"
    assert pyctcdecode(1.0).decode(SCORES).text == "bugs bunny"
    assert pyctcdecode().decode(SCORES).text == "bugs bunny"
    # words that the lexicon lacks and the model has
    assert pyctcdecode(1.0, unk_score_offset=0.0, lexicon=["bunny"]).decode(SCORES).text == "bugs bunny"
    assert pyctcdecode(1.0, lexicon=["bunny"]).decode(SCORES).text == "bunny bunny"
    # two models, mixed
    twice = pyctcdecode()
    both = asr.Decoder(LABELS, lm=[ARPA, ARPA], word_bonus=1.5)
    assert both.decode(SCORES).text == "bugs bunny"
    assert both.decode(SCORES).acoustic_score == pytest.approx(twice.decode(SCORES).acoustic_score)


def test_scores_and_frames() -> None:
    found = pyctcdecode().decode(SCORES)
    assert found.acoustic_score == pytest.approx(-2.853399551509947)
    assert found.score == pytest.approx(0.14660044849005294)
    assert [(word.text, word.start, word.end) for word in found.words] == [("bugs", 0, 4), ("bunny", 7, 13)]
    plain = asr.Decoder(LABELS, beam_threshold=10.0).decode(SCORES, nbest=100)
    assert plain.score == plain.acoustic_score == pytest.approx(-2.6933782130551505)
    assert [(word.text, word.start, word.end) for word in plain.words] == [("bunny", 0, 6), ("bunny", 7, 13)]
    assert len(plain.alternatives) == 15 and plain.alternatives[-1].text == "bugs bunny"
    mixed = pyctcdecode(unk_score_offset=0.0, beam_threshold=20.0).decode(SCORES, nbest=100)
    assert [mixed.text, mixed.alternatives[0].text, len(mixed.alternatives)] == ["bugs bunny", "bunny bunny", 15]
    stretched = certain(LABELS, [" ", "", "b", "u", "n", "", "n", "n", "y", "", " ", " "])
    (word,) = asr.Decoder(LABELS).decode(log_probs(stretched)).words
    assert (word.text, word.start, word.end) == ("bunny", 2, 9)
    pieces = ["▁bugs", "▁bun", "ny", ""]
    found = asr.Decoder(pieces).decode(log_probs(certain(pieces, ["", "▁bugs", "▁bun", "ny", "ny", ""])))
    assert [(word.text, word.start, word.end) for word in found.words] == [("bugs", 1, 2), ("bunny", 2, 5)]


def test_pruning() -> None:
    assert pyctcdecode(max_labels=1).decode(SCORES).text == "bunny bunny"  # the best label of each frame


def test_an_utterance_that_goes_on() -> None:
    scores = log_probs(np.vstack([BUGS, SPACE, np.vstack([BUGS, BLANKS]) * 0.51 + BUNNY * 0.49]))
    assert asr.Decoder(LABELS).decode(scores).text == "bugs bugs"
    decoder = pyctcdecode()
    assert decoder.decode(scores).text == "bugs bunny"
    first = decoder.decode(scores[:4], is_end=False)
    assert first.text == decoder.decode(scores[4:]).text == "bugs"
    assert decoder.decode(scores[4:], after=first).text == decoder.decode(scores[4:], after="bugs").text == "bunny"


@pytest.mark.parametrize(
    ("hotwords", "text"),
    [(["bunny"], "bunny bunny"), (["bugs", "bunny"], "bugs bunny"), (["bugs bunny"], "bugs bunny")],
)
def test_hot_words(hotwords: list[str], text: str) -> None:
    assert pyctcdecode().decode(SCORES, hotwords=dict.fromkeys(hotwords, 20)).text == text
    assert asr.Decoder(LABELS).decode(SCORES, hotwords={"bugs": 10}).text == "bugs bunny"


def test_frames_that_arrive_in_pieces() -> None:
    for decoder in (asr.Decoder(LABELS), pyctcdecode(), asr.Decoder(LABELS, hotwords={"bugs": 25})):
        stream = decoder.stream()
        for first, last in ((0, 3), (3, 8), (8, len(SCORES))):
            stream.feed(SCORES[first:last])
        assert stream.partial == (whole := decoder.decode(SCORES)).text
        assert stream.finish() == whole


def test_random_scores() -> None:
    decoder = asr.Decoder(LIBRI_LABELS, scores="logits")
    for frames in range(0, 20, 4):
        decoder.decode(np.random.default_rng(frames).normal(size=(frames, 29)))
