"""The matched pairs test: segments by hand, NIST's own figures, and symmetry."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from asr.metrics.matched_pairs import error_positions, matched_pairs_test, segment_errors


def test_error_positions() -> None:
    assert error_positions("abc", "abc") == [0] * 7
    assert error_positions("abc", "xabc") == [1, 0, 0, 0, 0, 0, 0]
    assert error_positions("abc", "axc") == [0, 0, 0, 1, 0, 0, 0]
    assert error_positions("abc", "ac") == [0, 0, 0, 1, 0, 0, 0]
    assert error_positions("abc", "abcyz") == [0, 0, 0, 0, 0, 0, 2]
    assert error_positions("", "ab") == [2]


@pytest.mark.parametrize(
    ("reference", "first", "second", "segments"),
    [
        ("abcdef", "abcdef", "abcdef", []),
        ("abcdef", "xbcdef", "abcdex", [(1, 0), (0, 1)]),  # four tokens between them
        ("abcdef", "axcdef", "abcdxf", [(1, 0), (0, 1)]),  # two
        ("abcdef", "axcdef", "abcxef", [(1, 1)]),  # one
        ("abcdef", "abcydef", "xbcdef", [(0, 1), (1, 0)]),  # an insertion after two
        ("abcd", "abycd", "xbcdz", [(1, 1), (0, 1)]),  # an insertion after one, and one at the end after two
        ("", "a", "", [(1, 0)]),
    ],
)
def test_segments(reference: str, first: str, second: str, segments: list[tuple[int, int]]) -> None:
    assert list(segment_errors(reference, first, second)) == segments
    assert list(segment_errors(reference, second, first)) == [(a, b) for b, a in segments]


def sentences_of(count: int) -> list[tuple[list[str], list[str], list[str]]]:
    random = np.random.default_rng(5)
    sentences = []
    for _ in range(count):
        reference = [f"w{number}" for number in random.integers(500, size=random.integers(4, 20))]
        sentences.append((reference, corrupted(reference, random, 0.15), corrupted(reference, random, 0.19)))
    return sentences


def corrupted(tokens: list[str], random: np.random.Generator, share: float) -> list[str]:
    result: list[str] = []
    for token in tokens:
        draw = random.random() / share
        result += [token] if draw > 1 else [] if draw < 0.3 else ["x"] if draw < 0.8 else [token, "y"]
    return result


def test_figures_of_sc_stats() -> None:
    """SCTK 2.4.10: sclite -r ref.trn trn -h a.trn trn -i spu_id -o sgml stdout …; sc_stats -p -t mapsswe -v."""
    found = matched_pairs_test(sentences_of(300))
    assert (found.segments, round(found.mean, 3), round(found.z, 3)) == (614, 0.15, 3.037)


def test_p_value_against_scipy() -> None:
    sentences = sentences_of(100)
    found = matched_pairs_test(sentences)
    differences = [b - a for sentence in sentences for a, b in segment_errors(*sentence)]
    assert (found.segments, found.mean) == (len(differences), pytest.approx(np.mean(differences)))
    assert found.z == pytest.approx(stats.ttest_1samp(differences, 0).statistic)
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(found.z)))


def test_without_a_difference() -> None:
    assert math.isnan(matched_pairs_test([("abc", "abc", "abc")]).p)
    assert math.isnan(matched_pairs_test([("abc", "axc", "axc")] * 3).p)
    assert math.isnan(matched_pairs_test([]).p)


words = st.text(alphabet="abc", max_size=8)


@given(st.lists(st.tuples(words, words, words), max_size=6))
@settings(max_examples=100, deadline=None)
def test_symmetry_and_completeness(sentences: list[tuple[str, str, str]]) -> None:
    one, other = matched_pairs_test(sentences), matched_pairs_test([(r, b, a) for r, a, b in sentences])
    assert (one.segments, one.mean, one.z) == (other.segments, -other.mean, -other.z)
    assert one.p == pytest.approx(other.p, nan_ok=True)
    totals = [sum(sum(error_positions(row[0], row[side])) for row in sentences) for side in (1, 2)]
    assert one.mean * one.segments == pytest.approx(totals[1] - totals[0])
