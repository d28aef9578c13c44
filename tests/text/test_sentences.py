"""Sentence splitting of books."""

from __future__ import annotations

import pytest

from asr.text.sentences import split_sentences


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["One two", "three. Four", "", "five"], ["One two three.", "Four", "five"]),
        (['He said "No!" She left.'], ['He said "No!"', "She left."]),
        (["Mr. Brown met Dr. Who. They ran"], ["Mister Brown met Doctor Who.", "They ran"]),
        (["J. S. Bach wrote it. Did he? Yes"], ["J. S. Bach wrote it.", "Did he?", "Yes"]),
        (["It cost 3.50 and so on. etc."], ["It cost 3.50 and so on. etc."]),
        (["‘Don’t,’ said the boys’ father"], [" Don't,  said the boys  father"]),
        (["", ""], []),
    ],
)
def test_sentences(lines: list[str], expected: list[str]) -> None:
    assert list(split_sentences(lines)) == expected
