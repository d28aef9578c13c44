"""Frame stacking."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import InputError
from asr.modules.frame_stacking import FrameStacking


class TestFrameStacking:
    @settings(max_examples=50, deadline=None)
    @given(
        lengths=st.lists(st.integers(1, 20), min_size=1, max_size=3),
        stack=st.integers(1, 4),
        stride=st.integers(1, 4),
    )
    def test_equals_the_definition(self, lengths: list[int], stack: int, stride: int) -> None:
        sizes = torch.tensor(lengths)
        features = torch.randn(len(lengths), max(lengths), 2)
        for row, length in enumerate(lengths):
            features[row, length:] = 0
        stacked, counts = FrameStacking(stack, stride)(features, sizes)
        assert counts.tolist() == [-(-length // stride) for length in lengths]
        assert stacked.shape == (len(lengths), -(-max(lengths) // stride), 2 * stack)
        padded = torch.nn.functional.pad(features, (0, 0, 0, stack + stride))
        for row in range(len(lengths)):
            for t in range(stacked.shape[1]):
                expected = padded[row, t * stride : t * stride + stack].flatten()
                assert torch.equal(stacked[row, t], expected)

    def test_garbage_beyond_the_end_is_not_stacked(self) -> None:
        features = torch.ones(1, 5, 1)
        stacked, counts = FrameStacking(2, 2)(features, torch.tensor([3]))
        assert counts.tolist() == [2]
        assert stacked[0].tolist() == [[1, 1], [1, 0], [0, 0]]

    def test_wrong_arguments(self) -> None:
        with pytest.raises(InputError, match="stride=0"):
            FrameStacking(3, 0)
