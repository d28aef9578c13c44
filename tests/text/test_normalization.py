"""Normalization of texts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from asr.errors import InputError
from asr.text.normalization import TextNormalizer


def test_english_normalization() -> None:
    apply = TextNormalizer.english().apply
    assert apply("  “Don’t,” she\tsaid — well-known…  ") == "don't she said well known"
    assert apply("Café No. 3 & Co") == "café no 3 & co"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("don´t", "don't"),
        ("don′t", "don't"),
        ("don‛t", "don't"),
        ("don＇t donʹt don\x92t", "don't don't don't"),
        ("so\u00adft", "soft"),
        ("zero\u200bwidth", "zerowidth"),
        ("\u200ertl\u200f \u202aa\u202c \u2066b\u2069", "rtl a b"),
        ("\u2060a\ufeffb \u200dc\ufe0f \u034fd", "ab c d"),
        ("‹y› ‚z‘ 〝a〟 ❝b❞ \x93c\x94", "y z' a b c"),
        ("well－known post⸺war a\x96b", "well known post war a b"),
        ("6″ ″quoted″", "6 quoted"),
        ("a\u00a0b\u3000c\u0085d\u2028e", "a b c d e"),
        ("İstanbul", "istanbul"),
        ("我们，走。「好」！ مرحبا، ٱلْعَالَم؟", "我们走好 مرحبا ٱلْعَالَم"),
        ("ＡＢＣ １２３ ｶﾞ ﬁne", "abc 123 ガ fine"),
    ],
)
def test_english_knows_invisible_characters_and_what_looks_alike(text: str, expected: str) -> None:
    assert TextNormalizer.english().apply(text) == expected
    assert TextNormalizer.english().apply(expected) == expected


def test_other_normalizations_keep_invisible_characters() -> None:
    assert TextNormalizer().apply("so\u00adft zero\u200bwidth") == "so\u00adft zero\u200bwidth"
    assert TextNormalizer(invisible="remove").apply("so\u00adft ´ e\u200b\u0301") == "soft ´ é"


@pytest.mark.parametrize(
    "text",
    ["می\u200cروم", "ക്\u200d", "क्\u200dष", "ශ්\u200dරී", "ကု"],
)
def test_joiners_stay_where_a_script_needs_them(text: str) -> None:
    assert TextNormalizer(invisible="remove").apply(f"{text}\u200c a\u200cb\u200d") == f"{text} ab"


def test_control_characters_and_halves_of_pairs_are_invisible() -> None:
    assert TextNormalizer.english().apply("a\x00b\x1b \ud83dc\x7f\x08\td") == "ab c d"


def test_turkish_letter_case() -> None:
    lower, upper = (TextNormalizer(case=case, language="tr") for case in ("lower", "upper"))
    assert lower.apply("İstanbul IŞIK") == "istanbul ışık"
    assert upper.apply("istanbul ışık") == "İSTANBUL IŞIK"
    assert lower.apply("I\u0307STANBUL ISI") == "istanbul ısı"
    assert TextNormalizer(case="lower").apply("IŞIK İzmir I\u0307zmir") == "işik izmir izmir"
    assert TextNormalizer(case="lower").apply("ΟΔΟΣ GROẞ") == "οδος groß"


def test_letters_that_the_unicode_form_changes_are_named(caplog: pytest.LogCaptureFixture) -> None:
    texts = ["tʰ kʷ ʲ", "Ａ ﬁ é", "plain"]
    assert list(TextNormalizer.english().watch(texts)) == texts
    assert "normalization changes letters: ʰ (U+02B0) to h, ʲ (U+02B2) to j, ʷ (U+02B7) to w; " in caplog.text
    caplog.clear()
    assert list(TextNormalizer().watch(texts)) == texts
    assert not caplog.records


def test_the_preset_of_earlier_versions_is_the_present_one() -> None:
    former = {
        "unicode": "NFKC",
        "case": "lower",
        "replace": {**dict.fromkeys("’‘ʼ", "'"), **dict.fromkeys("-‐‑‒–—―−", " "), "…": " "},
        "remove": '.,;:!?"“”„«»()[]{}*_`¡¿',
        "white_space": "single",
    }
    assert TextNormalizer.from_config(former) == TextNormalizer.english()
    assert TextNormalizer.from_config({**former, "remove": "."}).apply("so\u00adft´") == "so\u00adft \u0301"


@given(st.text())
@example("C.\u0327")
def test_normalized_text_is_stable_and_has_single_spaces(text: str) -> None:
    normalization = TextNormalizer.english()
    once = normalization.apply(text)
    assert once == " ".join(once.split())
    assert not set(once) & set(normalization.remove)
    assert normalization.apply(once) == once


def test_what_is_removed_is_gone_after_composition_too() -> None:
    assert TextNormalizer(remove=".ç").apply("ac.\u0327b") == "ab"


def test_normalization_order_and_case() -> None:
    normalization = TextNormalizer(case="upper", replace={"&": " and ", "and": "AND"}, remove="!")
    assert normalization.apply("this & that!") == "THIS AND THAT"
    assert TextNormalizer().apply("e\u0301 A!") == "é A!"


@pytest.mark.parametrize(
    "config",
    [
        "klingon",
        {"caes": "lower"},
        {"case": "lowr"},
        {"unicode": "NFD"},
        {"replace": {"": "x"}},
        {"remove": 3},
    ],
)
def test_wrong_normalization_is_an_error(config: Any) -> None:
    with pytest.raises(InputError, match="normalization"):
        TextNormalizer.from_config(config)


def test_normalization_from_config() -> None:
    assert TextNormalizer.from_config(None) == TextNormalizer.from_config("none") == TextNormalizer()
    assert TextNormalizer.from_config("english") == TextNormalizer.english()
    assert TextNormalizer.from_config({"case": "upper", "remove": "."}).apply("a.b") == "AB"


def test_a_preset_with_other_options() -> None:
    turkish = TextNormalizer.from_config({"preset": "english", "language": "tr"})
    assert turkish.apply("“IŞIK,” İstanbul’da!") == "ışık istanbul'da"
    assert TextNormalizer.from_config({"preset": "none", "case": "upper"}) == TextNormalizer(case="upper")
    with pytest.raises(InputError, match=r"normalization\.preset='turkish' is not one of english, none"):
        TextNormalizer.from_config({"preset": "turkish"})
