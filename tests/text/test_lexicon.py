"""Pronunciations from CMUdict and Kaldi lexicons."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import InputError
from asr.text.lexicon import pronounce, read_lexicon, words

Write = Callable[..., Path]

CMUDICT = [
    ";;; a comment",
    "'tis T IH1 Z",
    "ice AY1 S",
    "cream K R IY1 M # a remark",
    "read R EH1 D",
    "read(2) R IY1 D",
    "x-ray EH1 K S R EY2",
    "d'artagnan D AH0 R T AE1 NG Y AH0 N # foreign french",
]


def test_cmudict(tmp_path: Path, text: Write) -> None:
    lexicon = read_lexicon(text(tmp_path / "dict", *CMUDICT))
    assert lexicon["read"] == [("r", "eh", "d"), ("r", "iy", "d")]
    assert lexicon["cream"] == [("k", "r", "iy", "m")]
    assert lexicon["d'artagnan"][0][:2] == ("d", "ah")
    assert len(lexicon) == 6
    assert read_lexicon(tmp_path / "dict", keep_stress=True)["ice"] == [("ay1", "s")]


def test_kaldi_lexicon_and_latin_1(tmp_path: Path, text: Write) -> None:
    kaldi = text(tmp_path / "lexicon.txt", "<SIL> SIL", "A\tAH0", "A\tEY0", "ABLE\tEY1 B AH0 L")
    assert read_lexicon(kaldi)["a"] == [("ah",), ("ey",)]
    (tmp_path / "0.7b").write_bytes("DÉJÀ  D EY2 ZH AA1\n".encode("latin-1"))
    assert read_lexicon(tmp_path / "0.7b") == {"déjà": [("d", "ey", "zh", "aa")]}


def test_other_phone_sets_stay(tmp_path: Path, text: Write) -> None:
    lexicon = read_lexicon(text(tmp_path / "sampa", "schön S 2: n", "du d u:"))
    assert lexicon == {"schön": [("S", "2:", "n")], "du": [("d", "u:")]}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["ice AY1 S", "cream"], "line 2: expected 'word P R O N', got 'cream'"),
        (["ice 1.0 AY1 S"], "line 1: expected 'word P R O N'"),  # a lexiconp.txt
        ([";;; nothing"], "the lexicon is empty"),
    ],
)
def test_damaged_lexicons(tmp_path: Path, text: Write, lines: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_lexicon(text(tmp_path / "dict", *lines))
    with pytest.raises(InputError, match="No such file"):
        read_lexicon(tmp_path / "none")


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("ICE, cream!", ["ice", "cream"]),
        ("ice—cream -- ice--cream", ["ice", "cream", "ice", "cream"]),
        ("don’t 'quote' ice-cream - ' ...", ["don't", "'quote'", "ice-cream"]),
        ("", []),
    ],
)
def test_words(sentence: str, expected: list[str]) -> None:
    assert words(sentence) == expected


def test_pronounce(tmp_path: Path, text: Write) -> None:
    lexicon = read_lexicon(text(tmp_path / "dict", *CMUDICT))
    assert pronounce("'Tis ice-cream, read 'ice' x-ray", lexicon) == (
        [
            *("t", "ih", "z", "ay", "s", "k", "r", "iy", "m"),
            *("r", "eh", "d", "ay", "s", "eh", "k", "s", "r", "ey"),
        ],
        [],
    )
    assert pronounce("ice-box", lexicon)[1] == ["box"]


@given(st.lists(st.sampled_from(["ice", "cream", "read", "box", "'tis"]), max_size=8))
def test_every_word_is_pronounced_or_unknown(names: list[str]) -> None:
    lexicon: dict[str, list[tuple[str, ...]]] = {
        "ice": [("ay", "s")],
        "cream": [("k",)],
        "read": [("r",)],
        "'tis": [("t", "ih", "z")],
    }
    phones, unknown = pronounce(" ".join(names), lexicon)
    assert phones == [phone for word in names if word != "box" for phone in lexicon[word][0]]
    assert unknown == [word for word in names if word == "box"]
