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
