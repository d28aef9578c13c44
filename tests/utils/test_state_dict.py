"""Differences between state dictionaries."""

from __future__ import annotations

import torch

from asr.utils.state_dict import check_shapes

EXPECTED = {"b.weight": torch.zeros(2, 3), "a.bias": torch.zeros(()), "c": torch.zeros(4)}


def test_equal_names_and_shapes_have_no_difference() -> None:
    loaded = {name: torch.ones(tensor.shape, dtype=torch.float16) for name, tensor in reversed(EXPECTED.items())}
    assert check_shapes(loaded, EXPECTED) is None


def test_the_first_difference_is_described() -> None:
    wrong = {"b.weight": torch.zeros(3, 2), "a.bias": torch.zeros(1)}
    assert check_shapes(wrong, EXPECTED) == "b.weight has shape (3, 2), (2, 3) is expected"
    assert check_shapes(EXPECTED | {"a.bias": torch.zeros(1)}, EXPECTED) == "a.bias has shape (1,), () is expected"
    assert check_shapes({}, EXPECTED) == "b.weight is missing, shape (2, 3) is expected"
    unknown = EXPECTED | {"d": torch.zeros(5)}
    assert check_shapes(unknown, EXPECTED) == "d of shape (5,) is not a parameter of this network"
