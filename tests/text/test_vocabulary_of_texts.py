"""Vocabularies whose units are words, or whole texts (classes)."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr.errors import InputError
from asr.text.normalization import TextNormalizer
from asr.text.vocabulary import EOS, UNKNOWN, Vocabulary

TEXTS = ["the dog sees the cat", "The cat sees a dog", "the end"]


def test_words_by_how_often_they_occur(tmp_path: Path) -> None:
    words = Vocabulary.words_of(TEXTS, TextNormalizer(case="lower"), min_count=2, unknown="map", specials=(EOS,))
    assert words.tokens == (EOS, UNKNOWN, "the", "cat", "dog", "sees")
    labels = words.encode("The dog  sees an end")
    assert labels == [2, 4, 5, 1, 1] and words.decode([*labels, words.eos or 0]) == "the dog sees <unk> <unk>"
    assert words.words([4, 0, 2]) == [("dog", 0, 1), ("the", 2, 3)]
    words.save(tmp_path / "vocabulary.txt")
    assert Vocabulary.load(tmp_path / "vocabulary.txt") == words


def test_unknown_words() -> None:
    with pytest.raises(InputError, match=r"^utterance u1: words outside the vocabulary: 'bird', 'x'"):
        Vocabulary.words_of(TEXTS).encode("the bird x", "u1")
    skipping = Vocabulary.words_of(TEXTS, unknown="skip")
    assert skipping.decode(skipping.encode("the bird end")) == "the end"
    assert skipping.skipped("the bird end") == ["bird"]
    with pytest.raises(InputError, match="needs one unit at least"):
        Vocabulary.words_of(TEXTS, min_count=9)
    with pytest.raises(InputError, match="white space in it"):
        Vocabulary("words", ("the dog",))


def test_a_class_is_a_whole_text(tmp_path: Path) -> None:
    names = ["turn left", "_silence_", "no", "Ça va", "no", "<space>"]
    classes = Vocabulary.classes(names)
    assert classes.tokens == tuple(sorted(set(names))) and classes.eos is None
    for label, name in enumerate(classes.tokens):
        assert classes.encode(name) == [label] and classes.decode([label]) == name
    assert classes.encode("  turn   left ") == classes.encode("turn left")
    assert classes.words([0, 1]) == [(classes.tokens[0], 0, 1), (classes.tokens[1], 1, 2)]
    classes.save(tmp_path / "vocabulary.txt")
    assert Vocabulary.load(tmp_path / "vocabulary.txt") == classes


def test_what_classes_refuse() -> None:
    classes = Vocabulary.classes(["yes", "no"])
    with pytest.raises(InputError, match=r"^utterance u7: 'maybe not' is not one of the classes no, yes$"):
        classes.encode("maybe not", "u7")
    with pytest.raises(InputError, match=r"^'' is not one of the classes no, yes$"):
        classes.encode("")
    with pytest.raises(InputError, match="no blank"):
        classes.blank  # noqa: B018
    with pytest.raises(InputError, match="units cannot have the names of special tokens: <unk>"):
        Vocabulary.classes(["yes", UNKNOWN])
    with pytest.raises(InputError, match="unknown='skip' is not for classes"):
        Vocabulary("classes", ("yes",), unknown="skip")
    with pytest.raises(InputError, match="is empty"):
        Vocabulary.classes(["yes", " "])
