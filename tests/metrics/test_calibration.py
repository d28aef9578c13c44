"""Expected calibration error against its definition, bin by bin; the fit of a calibration."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.decoding.hypothesis import Hypothesis
from asr.errors import InputError
from asr.evaluation.report import evaluate_pairs
from asr.inference.decoders.beam import BeamDecoder
from asr.inference.decoders.greedy import GreedyDecoder
from asr.metrics.calibration import (
    NEARBY,
    RIDGE,
    calibrate,
    collect_evidence,
    concatenate,
    correct_tokens,
    cross_validate,
    fit_calibration,
    log_odds,
    measure_calibration,
)
from asr.text.vocabulary import Vocabulary


@given(st.lists(st.tuples(st.integers(0, 1000), st.booleans()), min_size=1), st.integers(1, 20))
def test_the_error_is_the_weighted_distance_of_each_bin(words: list[tuple[int, bool]], bins: int) -> None:
    result = measure_calibration([n / 1000 for n, _ in words], [correct for _, correct in words], bins)
    total = 0.0
    for b in range(bins):
        inside = [(n / 1000, c) for n, c in words if b == min(int(n / 1000 * bins), bins - 1)]
        if inside:
            confidence, accuracy = (sum(column) / len(inside) for column in zip(*inside, strict=True))
            total += len(inside) / len(words) * abs(confidence - accuracy)
    assert result is not None
    assert (result.tokens, result.error) == (len(words), pytest.approx(total))
    assert result.accuracy == pytest.approx(sum(correct for _, correct in words) / len(words))


def test_no_tokens_and_wrong_values() -> None:
    assert measure_calibration([], []) is None
    with pytest.raises(InputError, match="from 0 to 1"):
        measure_calibration([1.2], [True])
    with pytest.raises(InputError, match="one confidence for each token"):
        measure_calibration([0.2], [])


def test_correct_tokens() -> None:
    assert correct_tokens(["a", "b", "c"], ["a", "x", "c", "d"]) == [True, False, True, False]
    assert correct_tokens(["a", "b"], []) == [] and correct_tokens([], ["a"]) == [False]


def test_calibration_of_a_report() -> None:
    report = evaluate_pairs(
        ["1", "2", "3"], ["a b", "c", "d"], ["a x", "c", "d"], confidences=[[1.0, 0.5], None, [0.2]]
    )
    result = report.calibration
    assert result is not None and result.tokens == 3
    assert result.error == pytest.approx((0 + 0.5 + 0.8) / 3)
    assert json.loads(json.dumps(report.summary()))["calibration"]["accuracy"] == pytest.approx(2 / 3)
    assert evaluate_pairs(["1"], ["a"], ["a"]).calibration is None
    with pytest.raises(InputError, match="0 lists of confidences for 1 utterances"):
        evaluate_pairs(["1"], ["a"], ["a"], confidences=[])


def overconfident_words(count: int) -> list[tuple[np.ndarray, list[bool]]]:
    """Utterances of five words with log-odds that are twice what they should be, and 0.5 too high."""
    rng = np.random.default_rng(0)
    odds = rng.normal(0, 1.5, (count, 5))
    correct = rng.random((count, 5)) < 1 / (1 + np.exp(-odds))
    confidence = 1 / (1 + np.exp(-(2 * odds + 0.5)))
    return [(collect_evidence(own.tolist()), hit.tolist()) for own, hit in zip(confidence, correct, strict=True)]


def test_the_fit_undoes_a_line_of_log_odds() -> None:
    words = overconfident_words(4000)
    slope, offset = fit_calibration(*concatenate(words))
    assert slope == pytest.approx(0.5, abs=0.03) and offset == pytest.approx(-0.25, abs=0.06)
    evidence, correct = concatenate(words)
    before, after = measure_calibration(calibrate(evidence, (1, 0)).tolist(), correct), cross_validate(words)
    assert before is not None and after is not None and before.tokens == after.tokens == 20_000
    assert before.error > 0.08 and after.error < 0.015
    assert fit_calibration(collect_evidence([0.3, 0.9]), [True, True]) == (1.0, 0.0)
    assert cross_validate([]) is None
    alone = cross_validate(words[:1])  # nothing to fit by
    assert alone is not None and alone.tokens == 5


def test_the_fit_where_its_solution_is_known() -> None:
    # with two values of confidence the line runs through the log-odds of their accuracies
    evidence, correct = collect_evidence([0.2] * 4 + [0.9] * 10), [True] + [False] * 3 + [True] * 7 + [False] * 3
    fit = fit_calibration(evidence, correct)
    np.testing.assert_allclose(calibrate(collect_evidence([0.2, 0.9]), fit), [0.25, 0.7], rtol=1e-6)
    # with one value only its accuracy is known: the smallest slope is taken, which the penalty makes 0
    slope, offset = fit_calibration(collect_evidence([0.5, 0.5, 0.5, 0.5]), [True, True, True, False])
    assert (slope, offset) == (pytest.approx(0, abs=1e-9), pytest.approx(np.log(3)))
    assert fit_calibration(evidence, correct) == fit


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=50).filter(
        lambda words: len({correct for _, correct in words}) == 2
    )
)
def test_the_gradient_is_zero_at_the_fit(words: list[tuple[float, bool]]) -> None:
    confidence, correct = [p for p, _ in words], np.array([hit for _, hit in words], dtype=float)
    evidence = collect_evidence(confidence)
    slope, offset = fit_calibration(evidence, correct.astype(bool).tolist())
    residual = calibrate(evidence, (slope, offset)) - correct
    assert residual.sum() == pytest.approx(0, abs=1e-6)
    assert residual @ log_odds(confidence) + RIDGE * slope == pytest.approx(0, abs=1e-6)


@given(st.lists(st.floats(0, 1), min_size=2), st.floats(0.1, 3), st.floats(-3, 3))
def test_calibration_keeps_the_order(confidence: list[float], slope: float, offset: float) -> None:
    calibrated = calibrate(collect_evidence(sorted(confidence)), (slope, offset))
    assert (np.diff(calibrated) >= 0).all() and (calibrated >= 0).all() and (calibrated <= 1).all()
    inner = [0.01, 0.4, 0.99]
    np.testing.assert_allclose(calibrate(collect_evidence(inner), (1.0, 0.0)), inner)


def test_a_decoder_calibrates_its_words() -> None:
    vocabulary = Vocabulary.characters(" ab")
    a, space, b = vocabulary.encode("a b")
    hypothesis = Hypothesis((a, a, space, b), -1.0, frames=((0, 1),) * 4, confidence=(0.5, 0.8, 1.0, 0.9))
    assert GreedyDecoder(vocabulary).confidence(hypothesis) == pytest.approx([0.4, 0.9])
    own = GreedyDecoder(vocabulary, calibration=[0.5, 0.0])
    assert own.confidence(hypothesis) == pytest.approx(calibrate(collect_evidence([0.4, 0.9]), (0.5, 0.0)))
    with pytest.raises(InputError, match=r"calibration=\[1\]: expected a slope, an offset and up to two"):
        GreedyDecoder(vocabulary, calibration=[1])
    with pytest.raises(InputError, match="greedy decoding has two numbers"):
        GreedyDecoder(vocabulary, calibration=[1, 0, 5])


def test_a_decoder_counts_certainty_and_the_words_nearby() -> None:
    vocabulary = Vocabulary.characters(" ab")
    a, space, b = vocabulary.encode("a b")
    labels, confidence, certainty = (
        (a, a, space, b, space, b),
        (0.5, 0.8, 1.0, 0.9, 1.0, 0.2),
        (0.5, 0.7, 0.1, 0.9, 1, 1),
    )
    far = 12 + NEARBY
    frames = ((0, 1), (3, 4), (4, 5), (11, 13), (13, 14), (far - 1, far + 3))
    hypothesis = Hypothesis(labels, -1.0, frames, confidence, certainty=certainty)
    odds = [math.log(p / (1 - p)) for p in (0.4, 0.9, 0.2)]
    nearby = [(odds[0] + odds[1]) / 2, (odds[0] + odds[1]) / 2, odds[2]]
    evidence = np.array([odds, [math.log(0.6), math.log(0.9), 0.0], nearby]).T
    assert BeamDecoder(vocabulary).evidence(hypothesis) == pytest.approx(evidence)
    for factors in ([0.5], [0.5, 3.0], [0.5, 3.0, 0.7]):
        expected = evidence[:, : len(factors)] @ factors + 0.2
        own = BeamDecoder(vocabulary, calibration=[0.5, 0.2, *factors[1:]])
        assert own.confidence(hypothesis) == pytest.approx([1 / (1 + math.exp(-x)) for x in expected])
    unknown = Hypothesis(labels, -1.0, frames, confidence)
    assert BeamDecoder(vocabulary).evidence(unknown).shape == (3, 1)
    assert len(BeamDecoder(vocabulary, calibration=[0.5, 0.2, 3.0]).confidence(unknown)) == 3


def test_the_fit_finds_how_much_other_evidence_counts() -> None:
    rng = np.random.default_rng(0)
    confidence, certainty = rng.uniform(0.01, 0.99, 20_000), rng.uniform(0.3, 1.0, 20_000)
    spans = [(start, start + 10) for start in range(0, 600_000, 30)]
    evidence = collect_evidence(confidence.tolist(), certainty.tolist(), spans)
    correct = rng.random(20_000) < calibrate(evidence, (0.4, 1.5, 4.0, 0.6))
    fit = fit_calibration(evidence, correct.tolist())
    assert fit == pytest.approx((0.4, 1.5, 4.0, 0.6), abs=0.15)
    rows = [(evidence[first : first + 5], correct[first : first + 5].tolist()) for first in range(0, 20_000, 5)]
    without, with_all = cross_validate([(own[:, :1], hit) for own, hit in rows]), cross_validate(rows)
    assert without is not None and with_all is not None and with_all.error < 0.015
    # evidence that speaks against a token by chance has no factor, the others keep theirs
    _, _, factor, nearby = fit_calibration(evidence, (certainty < 0.6).tolist())
    assert factor == 0 and nearby >= 0
    assert fit_calibration(evidence[:2], [True, True]) == (1.0, 0.0, 0.0, 0.0)


def test_a_fit_allows_for_speech_that_is_not_understood() -> None:
    rng = np.random.default_rng(0)
    spans = [(start, start + 10) for start in range(0, 60_000, 30)]
    understood = collect_evidence(rng.uniform(0.3, 1, 2000).tolist(), rng.uniform(0.7, 1.0, 2000).tolist(), spans)
    others = collect_evidence(rng.uniform(0, 0.6, 2000).tolist(), rng.uniform(0.3, 0.75, 2000).tolist(), spans)
    correct = (rng.random(2000) < 0.9).tolist()
    alone, both = fit_calibration(understood, correct), fit_calibration(understood, correct, others)
    assert calibrate(others, alone).mean() > 0.8 and calibrate(others, both).mean() < 0.35
    assert calibrate(understood, both).mean() == pytest.approx(calibrate(understood, alone).mean(), abs=0.05)
    assert fit_calibration(understood, correct, others[:0]) == alone
