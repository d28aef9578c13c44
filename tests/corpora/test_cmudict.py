"""The CMU dictionary as pairs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asr.corpora import cmudict
from asr.data import pairs
from asr.errors import InputError

DICTIONARY = """\
;;; a comment
a AH0
a(2) EY1
'bout B AW1 T
(paren P ER0 EH1 N
{brace B R EY1 S
read R EH1 D # past
read(2) R IY1 D
read(3) R EH1 D
"""


def test_words_and_all_their_pronunciations(tmp_path: Path) -> None:
    (tmp_path / "cmudict.dict").write_text(DICTIONARY)
    splits = cmudict.prepare(tmp_path)
    dictionary = {word: phones for split in splits.values() for word, phones in split.items()}
    assert dictionary == {"a": ["ah0", "ey1"], "'bout": ["b aw1 t"], "read": ["r eh1 d", "r iy1 d"]}
    assert cmudict.prepare(tmp_path / "cmudict.dict") == splits
    assert all(cmudict.split_of(word) == name for name, split in splits.items() for word in split)


def test_a_tenth_is_test_and_a_fiftieth_dev() -> None:
    splits = [cmudict.split_of(f"word{number}") for number in range(20000)]
    assert splits.count("test") == pytest.approx(2000, abs=150) and splits.count("dev") == pytest.approx(400, abs=80)


def test_the_command(tmp_path: Path, asr: Callable[..., Any]) -> None:
    (tmp_path / "cmudict.dict").write_text(DICTIONARY)
    outcome = asr("prepare", "cmudict", tmp_path, "--output", tmp_path / "data", "--splits", "train")
    assert outcome.status == 0, outcome.err
    assert "sources" in outcome.out and "pairs" in outcome.out
    assert pairs.read(tmp_path / "data" / "train.tsv") == cmudict.prepare(tmp_path)["train"]


def test_no_dictionary(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none of cmudict\.dict"):
        cmudict.prepare(tmp_path)
