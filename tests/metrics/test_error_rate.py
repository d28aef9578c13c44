"""Error rates against a brute-force edit distance, their laws, and examples counted by hand."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import InputError
from asr.metrics.error_rate import (
    ErrorCounts,
    ErrorRates,
    align,
    count,
    count_errors,
    error_rate,
    tokens,
)

words = st.lists(st.sampled_from(["a", "b", "the", "cat", "é"]), max_size=8)


def brute_force_distance(left: list[str], right: list[str]) -> int:
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, start=1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(right, start=1):
            diagonal, row[j] = row[j], min(diagonal + (a != b), row[j] + 1, row[j - 1] + 1)
    return row[-1]


@given(words, words)
def test_errors_are_the_edit_distance(reference: list[str], hypothesis: list[str]) -> None:
    counts = count(reference, hypothesis)
    assert counts.errors == brute_force_distance(reference, hypothesis)
    assert (counts.reference, counts.hypothesis) == (len(reference), len(hypothesis))
    assert min(counts.hits, counts.substitutions, counts.deletions, counts.insertions) >= 0


@given(words, words)
def test_an_alignment_spells_both_sides_and_has_the_counts(reference: list[str], hypothesis: list[str]) -> None:
    steps = align(reference, hypothesis)
    assert [left for _, left, _ in steps if left is not None] == reference
    assert [right for _, _, right in steps if right is not None] == hypothesis
    for operation, left, right in steps:
        expected = "insertion" if left is None else "deletion" if right is None else "hit" if left == right else None
        assert operation == (expected or "substitution")
    names = [operation for operation, _, _ in steps]
    assert count(reference, hypothesis) == ErrorCounts(
        *(names.count(name) for name in ("hit", "substitution", "deletion", "insertion"))
    )


@given(words, words, words)
def test_laws_of_a_distance(a: list[str], b: list[str], c: list[str]) -> None:
    assert count(a, a).errors == 0
    assert count(a, b).errors == count(b, a).errors
    assert count(a, c).errors <= count(a, b).errors + count(b, c).errors


@given(st.text(max_size=12), st.text(max_size=12))
def test_characters_agree_with_brute_force(reference: str, hypothesis: str) -> None:
    expected = brute_force_distance(list(" ".join(reference.split())), list(" ".join(hypothesis.split())))
    assert count_errors("cer", reference, hypothesis).errors == expected


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("hello world", "hello duck", ErrorCounts(1, 1, 0, 0)),
        ("hello world", "hello beautiful world", ErrorCounts(2, 0, 0, 1)),
        ("one small step for man", "one step for a man", ErrorCounts(4, 0, 1, 1)),
        ("one two three", "", ErrorCounts(0, 0, 3, 0)),
        ("", "one two", ErrorCounts(0, 0, 0, 2)),
        ("", " ", ErrorCounts()),
        ("  the \t cat\n", "the cat", ErrorCounts(2, 0, 0, 0)),
        ("The cat", "the cat", ErrorCounts(1, 1, 0, 0)),
    ],
)
def test_word_errors(reference: str, hypothesis: str, expected: ErrorCounts) -> None:
    assert count_errors("wer", reference, hypothesis) == expected


def test_the_example_of_jiwer() -> None:
    """Its README: 2 sentences, substitutions=2 deletions=2 insertions=4 hits=5, WER 88.89 %."""
    rates = ErrorRates(["wer"])
    rates.add("short one here", "shoe order one")
    rates.add("quite a bit of longer sentence", "quite bit of an even longest sentence here")
    assert rates.counts["wer"] == ErrorCounts(5, 2, 2, 4)
    assert rates.rates["wer"] == pytest.approx(0.8889, abs=5e-5)


def test_spaces_between_words_are_characters() -> None:
    assert count_errors("cer", "the  cat ", "thecat") == ErrorCounts(6, 0, 1, 0)
    assert count_errors("cer", "kitten", "sitting") == ErrorCounts(4, 2, 0, 1)


def test_phone_errors_with_and_without_folding() -> None:
    merge = {"ix": "ih", "q": ""}

    def fold(phones: Sequence[str]) -> list[str]:
        return [p for p in (merge.get(phone, phone) for phone in phones) if p]

    assert count_errors("per", "d ix q t", "d ih t") == ErrorCounts(2, 1, 1, 0)
    assert count_errors("per", "d ix q t", "d ih t", fold) == ErrorCounts(3, 0, 0, 0)
    assert count_errors("per", "ax-h", "ax") == ErrorCounts(0, 1, 0, 0)
    assert tokens("wer", "ix q", fold) == ["ix", "q"]


def test_long_identical_and_different_sequences() -> None:
    reference = [str(i % 977) for i in range(3000)]
    assert count(reference, reference) == ErrorCounts(hits=3000)
    changed = reference[:1000] + reference[1010:] + ["x"] * 7
    assert count(reference, changed) == ErrorCounts(2990, 0, 10, 7)


def test_rates_of_empty_references() -> None:
    assert math.isnan(ErrorCounts().rate) and math.isnan(count_errors("wer", "", "uh").rate)
    total = count_errors("wer", "", "uh oh") + count_errors("wer", "a b c d", "a b c d")
    assert total.rate == 0.5  # the insertions count
    parts = [count_errors("wer", "a", "b"), count_errors("wer", "a b", "a")]
    assert sum(parts, ErrorCounts()).rate == pytest.approx(2 / 3)


@given(st.lists(st.tuples(words, words), max_size=5))
def test_a_corpus_is_the_sum_of_its_utterances(pairs: list[tuple[list[str], list[str]]]) -> None:
    rates = ErrorRates(("wer", "per"))
    total = ErrorCounts()
    for reference, hypothesis in pairs:
        one = rates.add(" ".join(reference), " ".join(hypothesis))
        assert one["wer"] == one["per"]
        total += one["wer"]
    assert rates.counts == {"wer": total, "per": total} and rates.utterances == len(pairs)
    assert rates.rates["wer"] == total.rate or math.isnan(total.rate)


def test_unknown_kinds_are_errors() -> None:
    with pytest.raises(InputError, match="'ser' is not one of wer, cer, per"):
        ErrorRates(("wer", "ser"))  # type: ignore[arg-type]


def test_the_alignment_does_not_depend_on_the_hash_seed() -> None:
    code = "from asr.metrics.error_rate import align; print(align('a b c a b d c'.split(), 'b a c c d a'.split()))"
    outputs = set()
    for seed in ("0", "1", "2"):
        result = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
        )
        outputs.add(result.stdout)
    assert len(outputs) == 1 and "hit" in outputs.pop()


@pytest.mark.parametrize("texts", [None, 5, {"one": "a b"}, {"a b"}, [5]])
def test_texts_without_an_order_are_refused(texts: Any) -> None:
    with pytest.raises(InputError, match="references and hypotheses are"):
        error_rate(texts, texts)
    with pytest.raises(InputError, match="references and hypotheses are"):
        error_rate(["a b"], texts)
    assert error_rate(("a b", "c"), ["a b", "d"]) == pytest.approx(1 / 3)
