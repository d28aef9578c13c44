"""Confusion matrices."""

from __future__ import annotations

import numpy as np

from asr.evaluation.confusion import Confusion, count_pairs
from asr.text.phones import BY_MANNER, PHONE_SETS


def test_pairs_are_those_of_the_alignment() -> None:
    counts = count_pairs([(["ah", "b", "k"], ["ah", "p", "k"]), (["s"], []), ([], ["t"])])
    assert counts == {("ah", "ah"): 1, ("b", "p"): 1, ("k", "k"): 1, ("s", None): 1, (None, "t"): 1}


def test_rate_and_most_frequent_confusions() -> None:
    matrix = np.array([[7, 2, 1], [3, 4, 0], [1, 0, 0]])
    confusion = Confusion(["b", "p"], matrix, "phones", "per")
    assert confusion.error_rate == 7 / 17  # substitutions 5, a deletion, an insertion; 17 phones
    assert confusion.most_frequent(5) == [(3, "p", "b"), (2, "b", "p")]


def test_every_phone_has_a_place() -> None:
    assert len(BY_MANNER) == len(set(BY_MANNER))
    assert {phone for phones in PHONE_SETS.values() for phone in phones} == set(BY_MANNER)
