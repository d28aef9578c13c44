"""Expected calibration error against its definition, bin by bin; which words are right."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import InputError
from asr.evaluation.calibration import calibration, hits
from asr.evaluation.report import evaluate_pairs


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
