"""Code books against their definition, packed integers against the integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.lm.quantize import LEVELS, code_book, count_bits, pack_bits, unpack


@settings(deadline=None, max_examples=50)
@given(width=st.integers(1, 40), count=st.integers(0, 200), seed=st.integers(0, 999))
def test_integers_of_any_width(width: int, count: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 1 << width, count)
    packed = pack_bits(values, width)
    assert packed.nbytes <= count * width / 8 + 16
    assert [unpack(packed, width, i) for i in range(count)] == values.tolist()


def test_chunks_of_packed_integers() -> None:
    values = np.random.default_rng(0).integers(0, 1 << 17, 70_000)
    packed = pack_bits(values, 17)
    assert all(unpack(packed, 17, i) == values[i] for i in [0, 65_535, 65_536, 65_537, 69_999])


@settings(deadline=None)
@given(st.integers(0, (1 << 64) - 1))
def test_number_of_ones(value: int) -> None:
    assert count_bits(np.uint64(value)) == value.bit_count()


def test_few_values_stay_as_they_are() -> None:
    values = np.random.default_rng(0).normal(size=LEVELS).astype(np.float32).repeat(3)
    book, codes = code_book(values)
    assert (book[codes] == values).all()
    book, codes = code_book(np.zeros(0, dtype=np.float32))
    assert len(book) == LEVELS and len(codes) == 0


@pytest.mark.parametrize("outlier", [None, -228.0])
def test_many_values_have_the_nearest_code_and_a_small_error(outlier: float | None) -> None:
    values = -np.random.default_rng(0).gamma(4.0, 1.5, 20_000).astype(np.float32)
    if outlier is not None:
        values[:3] = outlier
    book, codes = code_book(values)
    assert (np.diff(book) > 0).all()
    nearest = np.abs(values[:, None] - book).min(1)
    error = np.abs(values - book[codes])
    np.testing.assert_allclose(error, nearest, atol=1e-5)
    # Panter & Dite (1951): the least mean square error of many levels is (∫ density^(1/3))³ / (12 levels²)
    x = np.linspace(0, 60, 100_001)
    density = x**3 * np.exp(-x / 1.5) / (6 * 1.5**4)
    least = (np.cbrt(density).sum() * (x[1] - x[0])) ** 3 / (12 * LEVELS**2)
    assert np.mean(error**2) < 1.15 * least
