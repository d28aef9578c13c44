"""The bootstrap against a plain one, scipy's distributions and known populations."""

from __future__ import annotations

import math
import time
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from asr.metrics.error_rate import ErrorCounts, count_errors
from asr.metrics.significance import (
    bootstrap_difference,
    bootstrap_interval,
    known_speakers,
    student_tail,
    tail_share,
    with_interval,
)


def counts_of(errors: np.ndarray, words: int = 20) -> list[ErrorCounts]:
    return [ErrorCounts(hits=words - int(e), substitutions=int(e)) for e in errors]


def test_interval_against_a_plain_bootstrap() -> None:
    random = np.random.default_rng(1)
    counts = [ErrorCounts(hits=int(n), deletions=int(e)) for n, e in random.integers(0, 9, (60, 2))]
    speakers = [f"s{number % 13}" for number in range(60)]
    for blocks, members in ((None, [[c] for c in counts]), (speakers, None)):
        if members is None:
            by_speaker = defaultdict(list)
            for speaker, own in zip(speakers, counts, strict=True):
                by_speaker[speaker].append(own)
            members = list(by_speaker.values())
        rates = []
        for _ in range(4000):
            drawn = [c for number in random.integers(len(members), size=len(members)) for c in members[number]]
            rates.append(sum(c.errors for c in drawn) / sum(c.reference for c in drawn))
        tail = tail_share(0.95, len(members))
        expected = np.quantile(rates, [tail, 1 - tail])
        # the quantiles of 4,000 samples are known to a tenth of the interval's width
        assert bootstrap_interval(counts, blocks, resamples=4000) == pytest.approx(expected, abs=0.012)


def test_interval_is_that_of_the_normal_approximation() -> None:
    counts = counts_of(np.repeat([2, 10], 500))
    assert bootstrap_interval(counts) == pytest.approx(
        (0.3 - 1.96 * 0.2 / 1000**0.5, 0.3 + 1.96 * 0.2 / 1000**0.5), abs=1e-3
    )
    wide = bootstrap_interval(counts, level=0.99)
    low, high = bootstrap_interval(counts)
    assert wide[0] < low and wide[1] > high
    assert bootstrap_interval(counts) == (low, high)
    assert bootstrap_interval(counts, resamples=3, seed=1) != bootstrap_interval(counts, resamples=3, seed=2)
    with pytest.raises(ValueError, match="95"):
        bootstrap_interval([], level=95)


def test_no_interval_where_nothing_is_known() -> None:
    for texts in ([], [("", "uh")], [("a b", "a c")], [("a b", "a c")] * 5, [("a", "a")] * 9):
        assert all(map(math.isnan, bootstrap_interval([count_errors("wer", *pair) for pair in texts])))
    low, high = bootstrap_interval([count_errors("wer", "", "uh"), count_errors("wer", "a b", "a b")])
    assert low == 0 and math.isfinite(high)


@pytest.mark.parametrize("speakers", [6, 20])
def test_coverage_of_the_interval_over_speakers(speakers: int) -> None:
    """Speakers differ by 0.1 around 0.3: 95 of 100 intervals hold 0.3; those over utterances far fewer."""
    random = np.random.default_rng(speakers)
    trials, held, held_by_utterance = 150, 0, 0
    for trial in range(trials):
        rates = np.repeat(np.clip(random.normal(0.3, 0.1, speakers), 0, 1), 12)
        counts = counts_of(random.binomial(20, rates))
        blocks = [number // 12 for number in range(len(counts))]
        low, high = bootstrap_interval(counts, blocks, resamples=500, seed=trial)
        held += low <= 0.3 <= high
        low, high = bootstrap_interval(counts, resamples=500, seed=trial)
        held_by_utterance += low <= 0.3 <= high
    assert 0.9 <= held / trials <= 1.0
    assert held_by_utterance / trials < 0.7


@pytest.mark.parametrize("speakers", [6, 20])
def test_p_values_of_equal_systems_are_uniform(speakers: int) -> None:
    random = np.random.default_rng(speakers)
    p_values = []
    for trial in range(300):
        means = np.repeat(np.clip(random.normal(0.3, 0.1, (2, speakers)), 0, 1), 10, axis=1)
        first, second = (counts_of(random.binomial(20, own)) for own in means)
        blocks = [number // 10 for number in range(len(first))]
        p_values.append(bootstrap_difference(first, second, blocks, resamples=500, seed=trial).p)
    for level in (0.05, 0.2, 0.5):
        expected = 3.2 * (level * (1 - level) / len(p_values)) ** 0.5  # of the share's standard deviations
        assert np.mean(np.array(p_values) <= level) == pytest.approx(level, abs=expected)


def test_difference_against_the_paired_t_test() -> None:
    random = np.random.default_rng(3)
    first = random.binomial(20, 0.3, 400)
    second = np.clip(first + random.choice([-1, 0, 1], 400, p=[0.25, 0.6, 0.15]), 0, 20)
    found = bootstrap_difference(counts_of(first), counts_of(second), resamples=20000)
    assert found.value == pytest.approx((second.mean() - first.mean()) / 20) and found.blocks == 400
    expected = stats.ttest_rel(second, first)
    assert found.p == pytest.approx(expected.pvalue, abs=0.004)
    assert found.interval == pytest.approx([bound / 20 for bound in expected.confidence_interval(0.95)], abs=3e-4)
    assert (found.p < 0.05) == (found.interval[1] < 0 or found.interval[0] > 0)


utterances = st.lists(st.tuples(*[st.integers(0, 5)] * 3, st.sampled_from("abc")), min_size=1, max_size=12)


@given(utterances, st.booleans())
@settings(max_examples=50, deadline=None)
def test_the_difference_changes_its_sign_with_the_order_of_the_systems(rows: list, by_speaker: bool) -> None:
    first = [ErrorCounts(hits=hits, insertions=errors) for hits, errors, _, _ in rows]
    second = [ErrorCounts(hits=hits, insertions=errors) for hits, _, errors, _ in rows]
    blocks = [speaker for *_, speaker in rows] if by_speaker else None
    one = bootstrap_difference(first, second, blocks, resamples=100)
    other = bootstrap_difference(second, first, blocks, resamples=100)
    same = bootstrap_difference(first, first, blocks, resamples=100)
    assert one.p == pytest.approx(other.p, nan_ok=True) and one.blocks == other.blocks
    assert one.value == pytest.approx(-other.value, nan_ok=True)
    assert one.interval == pytest.approx((-other.interval[1], -other.interval[0]), nan_ok=True)
    assert same.p == 1 or math.isnan(same.p)
    assert math.isnan(one.p) or 0 < one.p <= 1


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 9, 10, 99, 1000, 2000])
def test_student_tail_against_scipy(freedom: int) -> None:
    for t in (0.0, 0.3, 2.0, 5.0):
        close = 1e-9 if freedom <= 1000 else 0.05
        assert student_tail(t, freedom) == pytest.approx(stats.t.sf(t, freedom), rel=close, abs=1e-7)
    quantile = stats.t.ppf(0.975, freedom) * math.sqrt((freedom + 1) / freedom)
    assert tail_share(0.95, freedom + 1) == pytest.approx(stats.norm.cdf(-quantile), rel=0.01, abs=1e-9)


def test_two_thousand_utterances_take_milliseconds() -> None:
    counts = counts_of(np.random.default_rng(0).binomial(20, 0.2, 2000))
    seconds = []
    for _ in range(3):
        start = time.process_time()
        bootstrap_interval(counts, resamples=2000)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.1


def test_speakers_and_text() -> None:
    assert known_speakers(["a", "b", "a"]) == ["a", "b", "a"]
    assert known_speakers(["a", "", "b"]) is None and known_speakers(["a", "a"]) is None and known_speakers([]) is None
    assert with_interval(0.245, (0.231, 0.2601)) == "24.50 [23.10, 26.01]"
    assert with_interval(0.245, (None, None)) == with_interval(0.245, ()) == "24.50"
    assert with_interval(math.nan, (math.nan, math.nan)) == "–"
