"""Hot words: every way to give them, spelling as in texts, phrases, and what is refused."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asr.cli._decoder_options import hot_words
from asr.errors import InputError
from asr.inference.decoders.beam import BeamDecoder
from asr.inference.decoders.factory import make_decoder
from asr.inference.decoders.hotwords import parse_hotwords
from asr.lm import arpa
from asr.lm.estimate import encode_sentences, kneser_ney
from asr.text.normalization import TextNormalizer
from asr.text.vocabulary import Vocabulary

LETTERS = "abcdefghijklmnopqrstuvwxyz"
ENGLISH = Vocabulary("characters", ("<blank>", " ", *LETTERS), TextNormalizer.english())
PLAIN = Vocabulary("characters", ("<blank>", " ", *LETTERS))
CAPITALS = Vocabulary("characters", ("<blank>", " ", *LETTERS.upper()))
PHONES = Vocabulary.phones(["n", "uw", "y", "f", "ao", "r", "k"])


def new_york_or_fork(vocabulary: Vocabulary) -> np.ndarray:
    """Log-probabilities (1, T, V) of which the best text is "new fork", the next one "new york"."""
    phones = vocabulary.kind == "phones"
    y, f = ("y", "f") if phones else ("y", "f") if "y" in vocabulary.tokens else ("Y", "F")
    said = ["n", "uw", "?", "ao", "r", "k"] if phones else list("new ?ork" if y == "y" else "NEW ?ORK")
    p = np.full((1, len(said), len(vocabulary)), 0.1 / len(vocabulary))
    for row, token in zip(p[0], said, strict=True):
        for name, share in {y: 0.4, f: 0.5}.items() if token == "?" else {token: 0.9}.items():
            row[vocabulary.tokens.index(name)] += share
    return np.log(p)


def best(vocabulary: Vocabulary, **options: Any) -> str:
    decoder = make_decoder(vocabulary, {"type": "beam", **options})
    log_probs = new_york_or_fork(vocabulary)
    return decoder.text(decoder.search(log_probs, np.array([log_probs.shape[1]]))[0][0])


@pytest.mark.parametrize(
    "hotwords",
    [
        {"york": 2.0},
        {"York": 2.0},
        {"new york": 3.0},
        {"NEW  YORK": None},
        "York",
        "adam, new york=3",
        "New-York!",
        ["new york", "adam"],
        ("york=2",),
    ],
)
@pytest.mark.parametrize("vocabulary", [ENGLISH, PLAIN, CAPITALS], ids=["english", "plain", "capitals"])
def test_every_way_to_give_them(vocabulary: Vocabulary, hotwords: Any) -> None:
    if hotwords == "New-York!" and vocabulary is not ENGLISH:
        return  # only a normalization takes punctuation out
    wanted = "new york" if vocabulary is not CAPITALS else "NEW YORK"
    assert best(vocabulary).lower() == "new fork"
    assert best(vocabulary, hotwords=hotwords) == wanted


def test_a_phrase_is_favored_as_a_whole() -> None:
    assert best(ENGLISH, hotwords={"york new": 5.0}) == "new fork"
    assert best(ENGLISH, hotwords={"old york": 5.0}) == "new fork"
    assert best(ENGLISH, hotwords={"new york": 0.1}) == "new fork"  # the score is what it says
    assert best(ENGLISH, hotwords={"new york": 0.3}) == "new york"


def test_beside_a_language_model(tmp_path: Path) -> None:
    arpa.write(kneser_ney(encode_sentences([["new", "fork"], ["old", "fork"]]), 2), tmp_path / "lm.arpa")
    options = {"lm": tmp_path / "lm.arpa", "lm_weight": 0.5}
    assert best(ENGLISH, **options) == "new fork"
    assert best(ENGLISH, hotwords="New York=1", **options) == "new fork"
    assert best(ENGLISH, hotwords="New York=6", **options) == "new york"
    decoder = make_decoder(ENGLISH, {"hotwords": "New York=6", **options})
    log_probs = new_york_or_fork(ENGLISH)
    other = decoder.with_weights(lm_weight=3.0)  # type: ignore[attr-defined]
    assert decoder.text(other.search(log_probs, np.array([8]))[0][0]) == "new fork"


def text_of(decoder: Any, vocabulary: Vocabulary) -> str:
    log_probs = new_york_or_fork(vocabulary)
    return decoder.text(decoder.search(log_probs, np.array([log_probs.shape[1]]))[0][0])


@pytest.mark.parametrize("kind", ["characters", "phones"])
def test_other_hot_words_for_a_decoder_that_is_there(tmp_path: Path, kind: str) -> None:
    """The large arrays are shared; words that the language model lacks are added to the lexicon."""
    sentences = [["new", "fork"], ["old", "fork"], ["new", "far"]]
    arpa.write(kneser_ney(encode_sentences(sentences), 2), tmp_path / "lm.arpa")
    (tmp_path / "dict").write_text("new N UW\nyork Y AO R K\nfork F AO R K\nold AO R\nfar F AO R\n")
    options = {"type": "beam", "lm": tmp_path / "lm.arpa"} | (
        {"lexicon": tmp_path / "dict"} if kind == "phones" else {}
    )
    vocabulary = PHONES if kind == "phones" else ENGLISH
    base = make_decoder(vocabulary, options)
    assert isinstance(base, BeamDecoder)
    for favored in ({"york": 6.0}, {"New York": 6.0}, {"old fork": 1.0, "far": 9.0}, {"new york": 2.0, "york": 1.0}):
        other = base.with_hotwords(favored)
        made = make_decoder(vocabulary, {**options, "hotwords": favored})
        log_probs = new_york_or_fork(vocabulary)
        lengths = np.array([log_probs.shape[1]])
        found, expected = other.search(log_probs, lengths)[0][0], made.search(log_probs, lengths)[0][0]
        assert other.text(found) == made.text(expected)
        assert found.score == pytest.approx(expected.score)
        assert other.graph.word_lm.log_prob is base.graph.word_lm.log_prob
        assert text_of(base, vocabulary) == "new fork"
    assert text_of(base.with_hotwords({"york": 9.0}), vocabulary) == "new york"
    assert text_of(base.with_hotwords("New York=9"), vocabulary) == "new york"
    heavy = base.with_weights(lm_weight=5.0)
    assert heavy.with_hotwords({"york": 9.0}).weights["lm_weight"] == 5.0
    with pytest.raises(InputError, match="cannot be used: '1984'"):
        base.with_hotwords("1984")


def test_other_hot_words_for_a_decoder_without_words() -> None:
    base = make_decoder(ENGLISH, {"type": "beam"})
    assert isinstance(base, BeamDecoder)
    assert text_of(base.with_hotwords("new york=3"), ENGLISH) == "new york"
    assert text_of(base, ENGLISH) == "new fork"


def test_of_phones(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lexicon = tmp_path / "lexicon.txt"
    lexicon.write_text("new N UW\nyork Y AO R K\nfork F AO R K\n")
    assert best(PHONES, lexicon=lexicon) == "new fork"
    assert best(PHONES, lexicon=lexicon, hotwords="New York=2") == "new york"
    assert best(PHONES, lexicon=lexicon, hotwords="York=2, Boston") == "new york"
    assert "'Boston': the pronunciation dictionary does not have them" in caplog.text
    arpa.write(kneser_ney(encode_sentences([["new", "fork"]]), 1), tmp_path / "lm.arpa")
    options = {"lexicon": lexicon, "lm": tmp_path / "lm.arpa"}
    assert best(PHONES, **options) == "new fork"
    assert best(PHONES, hotwords={"york": 9.0}, **options) == "new york"  # the model lacks it


def test_words_that_cannot_be_written(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(InputError, match="hot words that cannot be used: '1984': the model has no labels for"):
        best(ENGLISH, hotwords="1984")
    with caplog.at_level(logging.WARNING):
        assert best(ENGLISH, hotwords="1984,york=2") == "new york"
    assert "'1984'" in caplog.text


@pytest.mark.parametrize(
    ("hotwords", "message"),
    [
        ("new york=x", "new york=x: use a number after ="),
        ("=3", "'' is not a word or phrase"),
        (",", "has no word in it"),
        ({"a": "b"}, "a='b': use a finite number"),
        ({"a": float("nan")}, "a=nan: use a finite number"),
        ("a=inf", "a=inf: use a finite number"),
        ({"a": True}, "a=True: use a finite number"),
        ([3], "3 is not a word"),
        ({3: 1.0}, "3 is not a word or phrase"),
        (b"adam", "use words with commas between them, a list of words, or a mapping"),
        (5, "expected a mapping"),
    ],
)
def test_what_is_refused(hotwords: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_decoder(ENGLISH, {"hotwords": hotwords})


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_bytes("\ufeffWhittemore\r\n\r\nNew York=3\r\nadam\t2.5\r\n".encode())
    expected = {"Whittemore": 1.5, "New York": 3.0, "adam": 2.5}
    assert hot_words(str(path)) == parse_hotwords(path) == expected
    assert best(ENGLISH, hotwords=path) == "new york"
    path.write_text("adam\nnew york=x\n")
    with pytest.raises(InputError, match=r"names.txt, line 2 new york=x: use a number after ="):
        hot_words(str(path))
    path.write_text("\n")
    with pytest.raises(InputError, match=r"names\.txt: has no hot words"):
        hot_words(str(path))
    with pytest.raises(InputError, match=r"nothing\.txt: no such file"):
        hot_words(str(tmp_path / "nothing.txt"))
    assert hot_words("adam,new york=3") == {"adam": 1.5, "new york": 3.0}


@pytest.mark.parametrize(
    ("word", "spelled"),
    [("d’or", "d'or"), ("d´or", "d'or"), ("dʼor", "d'or"), ("d'or", "d'or"), ("do\u0308r", "dör"), ("dör", "dör")],
)
def test_words_of_the_language_model_agree_with_labels_and_dictionary(tmp_path: Path, word: str, spelled: str) -> None:
    arpa.write(kneser_ney(encode_sentences([[word, "a"], ["a", word]]), 2), tmp_path / "lm.arpa")
    letters = Vocabulary("characters", ("<blank>", " ", *"'ador", "ö"))
    (tmp_path / "dict").write_text("d'or d o r\ndör d o r\na o\n")
    phones = Vocabulary.phones(["d", "o", "r"])
    for vocabulary, said, options in (
        (letters, list(spelled), {}),
        (phones, ["d", "o", "r"], {"lexicon": str(tmp_path / "dict")}),
    ):
        p = np.full((1, len(said), len(vocabulary)), 0.1 / len(vocabulary))
        for row, token in zip(p[0], said, strict=True):
            row[vocabulary.tokens.index(token)] += 0.9
        decoder = make_decoder(vocabulary, {"type": "beam", "lm": str(tmp_path / "lm.arpa"), **options})
        assert decoder.text(decoder.search(np.log(p), np.array([len(said)]))[0][0]) == word


def test_comments_and_scores_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text(
        "# names of customers\nYork=1\n  # a group of them\nNew York=3\nYork\t2\nZo\u0308e\n", encoding="utf-8"
    )
    assert parse_hotwords(path) == {"York": 2.0, "New York": 3.0, "Zo\u0308e": 1.5}
    path.write_text("adam\tx\n")
    with pytest.raises(InputError, match=r"names.txt, line 1 adam=x: use a number after ="):
        parse_hotwords(path)
    path.write_text("# only a comment\n")
    with pytest.raises(InputError, match="has no hot words"):
        parse_hotwords(path)


def test_letters_with_accents_are_composed(caplog: pytest.LogCaptureFixture) -> None:
    french = Vocabulary("characters", ("<blank>", " ", *"zoë"))
    decoder = make_decoder(french, {"hotwords": {"zo\u0308e": 2.0, "zoe\u0308": 1.0}})
    assert decoder.models.words.hotwords == {"zoë": 1.0}  # type: ignore[attr-defined]
    assert "cannot be used: 'zo\u0308e'" in caplog.text


def test_a_head_of_sentencepiece_says_what_it_needs() -> None:
    pieces = Vocabulary.train_sentencepiece(["new york", "new fork"] * 5, 12, TextNormalizer.english())
    with pytest.raises(InputError, match=r"spelled in characters or phones; .* of kind sentencepiece"):
        make_decoder(pieces, {"hotwords": "york"})
    assert make_decoder(pieces, {"hotwords": [], "beam": 5}).vocabulary is pieces
