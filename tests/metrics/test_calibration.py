"""Expected calibration error against its definition, bin by bin; which words are right."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.decoding.hypothesis import Hypothesis
from asr.errors import InputError
from asr.evaluation.report import evaluate_pairs
from asr.inference.decoders.greedy import GreedyDecoder
from asr.metrics.calibration import calibrated, calibration, fit, held_out, hits, joined
from asr.text.vocabulary import Vocabulary


@given(st.lists(st.tuples(st.integers(0, 1000), st.booleans()), min_size=1), st.integers(1, 20))
def test_is_the_weighted_distance_of_each_bin(answers: list[tuple[int, bool]], bins: int) -> None:
    found = calibration([n / 1000 for n, _ in answers], [right for _, right in answers], bins)
    total = 0.0
    for b in range(bins):
        inside = [(n / 1000, r) for n, r in answers if b == min(int(n / 1000 * bins), bins - 1)]
        if inside:
            said, right = (sum(column) / len(inside) for column in zip(*inside, strict=True))
            total += len(inside) / len(answers) * abs(said - right)
    assert found is not None
    assert (found.tokens, found.error) == (len(answers), pytest.approx(total))
    assert found.right == pytest.approx(sum(right for _, right in answers) / len(answers))


def test_nothing_and_nonsense() -> None:
    assert calibration([], []) is None
    with pytest.raises(InputError, match="from 0 to 1"):
        calibration([1.2], [True])
    with pytest.raises(InputError, match="not one each"):
        calibration([0.2], [])


def test_which_words_are_right() -> None:
    assert hits(["a", "b", "c"], ["a", "x", "c", "d"]) == [True, False, True, False]
    assert hits(["a", "b"], []) == [] and hits([], ["a"]) == [False]


def test_of_a_report() -> None:
    report = evaluate_pairs(
        ["1", "2", "3"], ["a b", "c", "d"], ["a x", "c", "d"], confidences=[[1.0, 0.5], None, [0.2]]
    )
    found = report.calibration
    assert found is not None and found.tokens == 3
    assert found.error == pytest.approx((0 + 0.5 + 0.8) / 3)
    assert json.loads(json.dumps(report.summary()))["calibration"]["right"] == pytest.approx(2 / 3)
    assert evaluate_pairs(["1"], ["a"], ["a"]).calibration is None
    with pytest.raises(InputError, match="not one each"):
        evaluate_pairs(["1"], ["a"], ["a"], confidences=[])


def too_sure(count: int) -> list[tuple[list[float], list[bool]]]:
    """Utterances of five words whose log-odds are twice what they should be, and 0.5 too high."""
    rng = np.random.default_rng(0)
    odds = rng.normal(0, 1.5, (count, 5))
    right = rng.random((count, 5)) < 1 / (1 + np.exp(-odds))
    said = 1 / (1 + np.exp(-(2 * odds + 0.5)))
    return [(row.tolist(), hit.tolist()) for row, hit in zip(said, right, strict=True)]


def test_fit_finds_the_line_of_log_odds() -> None:
    answers = too_sure(4000)
    slope, offset = fit(*joined(answers))
    assert slope == pytest.approx(0.5, abs=0.03) and offset == pytest.approx(-0.25, abs=0.06)
    before, after = calibration(*joined(answers)), held_out(answers)
    assert before is not None and after is not None and before.tokens == after.tokens == 20_000
    assert before.error > 0.08 and after.error < 0.015
    assert fit([0.3, 0.9], [True, True]) == (1.0, 0.0)
    assert held_out([]) is None


@given(st.lists(st.floats(0, 1), min_size=2), st.floats(0.1, 3), st.floats(-3, 3))
def test_calibrated_keeps_the_order(confidence: list[float], slope: float, offset: float) -> None:
    confidence = sorted(confidence)
    found = calibrated(confidence, slope, offset)
    assert (np.diff(found) >= 0).all() and (found >= 0).all() and (found <= 1).all()
    inner = [0.01, 0.4, 0.99]
    np.testing.assert_allclose(calibrated(inner, 1.0, 0.0), inner)


def test_a_decoder_calibrates_its_words() -> None:
    vocabulary = Vocabulary.characters(" ab")
    a, space, b = vocabulary.encode("a b")
    found = Hypothesis((a, a, space, b), -1.0, frames=((0, 1),) * 4, confidence=(0.5, 0.8, 1.0, 0.9))
    assert GreedyDecoder(vocabulary).confidence(found) == pytest.approx([0.4, 0.9])
    own = GreedyDecoder(vocabulary, calibration=[0.5, 0.0])
    assert own.confidence(found) == pytest.approx(calibrated([0.4, 0.9], 0.5, 0.0))
    with pytest.raises(InputError, match=r"calibration=\[1\]: a slope and an offset"):
        GreedyDecoder(vocabulary, calibration=[1])
