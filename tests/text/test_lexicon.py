"""Pronunciations from CMUdict and Kaldi lexicons."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import InputError
from asr.text.lexicon import lookup_form, pronounce, read_lexicon, words

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


PLAIN = {"open": [("ow", "p", "ah", "n")], "the": [("dh", "ah")], "door": [("d", "ao", "r")]}


@pytest.mark.parametrize(
    "lines",
    [
        ["open 1.0 OW P AH N", "the 0.5 DH AH", "door 1.0 D AO R"],  # Kaldi's lexiconp.txt
        ["open 1 OW P AH N", "the 1e-05 DH AH", "door 1. D AO R"],
        ["open 1 OW P AH N", "the 1 DH AH", "door 1 D AO R"],
        ["open 1.0 0.2 1.1 0.9 OW P AH N", "the 0.5 0.1 1 1 DH AH", "door 1 0 0 0.5 D AO R"],  # lexiconp_silprob.txt
        ["open\t0.99\tOW1 P AH0 N", "the\t0.5\tDH AH0", "door\t1.0\tD AO1 R"],  # MFA
        ["open\t1\t0.0\t0.0\t0.0\tOW1 P AH0 N", "the\t1\t0.1\t1.0\t1.0\tDH AH0", "door\t0.2\t0.1\t1\t1\tD AO1 R"],
        ["open\t0.99\tOW1 P AH0 N", "the\tDH AH0", "door\t1\tD AO1 R"],  # some of its lines have none
        ["OPEN [open] 1.0 ow p ah n", "THE [the] dh ah", "DOOR d ao r"],  # HTK
        ["OPEN [] ow p ah n", "THE 0.3 dh ah", "DOOR [door] d ao r"],
    ],
)
def test_probabilities_and_output_symbols_are_left_out(tmp_path: Path, text: Write, lines: list[str]) -> None:
    assert read_lexicon(text(tmp_path / "dict", *lines)) == PLAIN


def test_htk_escapes_quotation_marks(tmp_path: Path, text: Write) -> None:
    assert read_lexicon(text(tmp_path / "dict", "\\'EM ['em] ax m", "A ax")) == {"'em": [("ax", "m")], "a": [("ax",)]}


def test_whole_numbers_may_be_phones(tmp_path: Path, text: Write) -> None:
    french = text(tmp_path / "sampa", "oeuf 9 f", "deux d 2", "un 9~", "chat S a", "eux 2")
    assert read_lexicon(french)["oeuf"] == [("9", "f")]
    assert read_lexicon(french)["eux"] == [("2",)]


NOISES = [
    *("!SIL SIL", "<SPOKEN_NOISE> SPN", "<UNK> SPN", "<NOISE> NSN"),
    *("[NOISE] +NOISE+", "++UH++ +UH+", "</s> SIL", "{laugh} LAU"),
]


def test_entries_of_noises_do_not_hide_the_phones_of_cmudict(
    tmp_path: Path, text: Write, caplog: pytest.LogCaptureFixture
) -> None:
    words = ["OPEN OW1 P AH0 N", "THE DH AH0", "DOOR D AO1 R"]
    lexicon = read_lexicon(text(tmp_path / "dict", *NOISES, *words))
    assert {word: lexicon[word] for word in PLAIN} == PLAIN
    assert lexicon["++uh++"] == [("+UH+",)]
    assert lexicon["<noise>"] == [("nsn",)]
    assert not caplog.records


def test_an_entry_with_another_phone_is_named(tmp_path: Path, text: Write, caplog: pytest.LogCaptureFixture) -> None:
    words = ["OPEN OW1 P AH0 N", "THE DH AH0", "DOOR D AO1 R", "SIX S IH1 K S", "LOCH L AA1 X"]
    path = text(tmp_path / "dict", *words)
    assert read_lexicon(path)["loch"] == [("l", "aa", "X")]
    assert read_lexicon(path, keep_stress=True)["loch"] == [("l", "aa1", "X")]
    assert "phones that CMUdict does not have stay as they are: X (in 1 entries, the first of 'loch')" in caplog.text


def test_only_tabs_and_blanks_separate_fields(tmp_path: Path, text: Write) -> None:
    lexicon = read_lexicon(text(tmp_path / "dict", "ne\u00a0pas\tn @ p A", "\u3000 s p", "e\u0301te\u0301 e t e"))
    assert lexicon == {"ne\u00a0pas": [("n", "@", "p", "A")], "\u3000": [("s", "p")], "été": [("e", "t", "e")]}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["ice AY1 S", "cream"], "line 2: expected 'word P R O N', got 'cream'"),
        (["ice AY1 S", "cream 0.5"], "line 2: expected 'word P R O N', got 'cream 0.5'"),
        (["ice [ice]", "cream [cream] 0.5"], "line 2: expected 'word P R O N'"),
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
        ("don´t don′t don‛t so\u00adft zero\u200bwidth cafe\u0301", ["don't"] * 3 + ["soft", "zerowidth", "café"]),
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


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("don’t", "DON'T don’t donʼt don´t"),
        ("cafe\u0301", "Café CAFÉ"),
        ("well-known", "well-known well‐known well\u2011known"),
        ("so\u00adft", "soft so\u00adft"),
        ("ＡＢＣ", "abc ABC ａｂｃ"),
        ("İSTANBUL", "istanbul İstanbul"),
        ("groß", "GROẞ Groß"),
        ("ΛΟΓΟΣ", "λογος ΛΟΓΟΣ"),
        ("كتاب", "كتاب كتـاب كِتَاب ﻛﺘﺎﺏ"),
        ("שלום", "שלום שָׁלוֹם"),
        ("هند", "هند"),
        ("हिन्दी", "हिन्दी हिन्दी।"),
        ("สวัสดี", "สวัสดี"),
        ("می\u200cروم", "می\u200cروم"),
        ("\u1112\u1161\u11ab", "한"),
        ("ｶﾞ", "ガ カ\u3099"),
        ("AT&T", "AT&T, (at&t)"),
        ("c++", "C++."),
        ("50%", "50%"),
        ("u.s.", "the U.S."[4:]),
        ("mr.", "Mr."),
    ],
)
def test_words_are_found_however_they_are_written(tmp_path: Path, text: Write, entry: str, sentence: str) -> None:
    lexicon = read_lexicon(text(tmp_path / "dict", f"{entry} x y", "other z"))
    assert pronounce(sentence, lexicon) == (["x", "y"] * len(sentence.split()), [])
    assert lookup_form(lookup_form(entry)) == lookup_form(entry) in lexicon


def test_punctuation_belongs_to_a_word_only_if_the_lexicon_lacks_the_plain_one(tmp_path: Path, text: Write) -> None:
    lexicon = read_lexicon(text(tmp_path / "dict", "a x", "a. y", "us z", "u.s. w"))
    assert pronounce("a. a, us. U.S. (us)", lexicon) == (["x", "x", "z", "w", "z"], [])


def test_comments_doubles_and_joined_files(tmp_path: Path, text: Write) -> None:
    lines = [";; a", "# b c", "#", "##", "; d e", "#sharp x", "c# y", "a 1x", "a 1x", "a z", "\ufeffb w"]
    expected = {"#sharp": [("x",)], "c#": [("y",)], "a": [("1x",), ("z",)], "b": [("w",)]}
    assert read_lexicon(text(tmp_path / "dict", *lines)) == expected
    (tmp_path / "mac").write_bytes(b"open OW1 P AH0 N\rthe DH AH0\rthe DH AH1\r")
    assert read_lexicon(tmp_path / "mac") == {"open": PLAIN["open"], "the": PLAIN["the"]}


@pytest.mark.parametrize("content", ['<?xml version="1.0"?>\n<lexicon>', '{"open": ["ow p"]}', '[{"word": "open"}]'])
def test_xml_and_json_are_no_dictionaries(tmp_path: Path, content: str) -> None:
    (tmp_path / "dict").write_text(content)
    with pytest.raises(InputError, match="dict: XML or JSON; a dictionary has lines 'word P R O N'"):
        read_lexicon(tmp_path / "dict")


def test_phrases_and_pronunciations_that_are_not_split_are_named(
    tmp_path: Path, text: Write, caplog: pytest.LogCaptureFixture
) -> None:
    assert read_lexicon(text(tmp_path / "mfa", "new york\t0.5\tn u", "a\tə", "b [b]\t1.0\tb")) == {
        "a": [("ə",)],
        "b": [("b",)],
    }
    assert "mfa: 1 entries of several words are left out, the first is 'new york'" in caplog.text
    caplog.clear()
    read_lexicon(text(tmp_path / "ipa", "hello\t/həˈloʊ/", "world\t/wɜːld/", "a\tə"))
    assert "ipa: most words have a single phone, as " in caplog.text
    caplog.clear()
    read_lexicon(text(tmp_path / "letters", "a ei", "b bi:", "c si:", "d di: x"))
    assert not caplog.records
