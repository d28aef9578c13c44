"""Convolutions below the RNN: against their definition, and batches against single utterances."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.data.batch import pad
from asr.errors import InputError
from asr.modules.convolution import Convolution
from asr.modules.encoder import Encoder


def test_one_layer_is_the_sum_of_its_definition() -> None:
    torch.manual_seed(0)
    layer = Convolution(7, [2], stride=2)
    x = torch.randn(1, 6, 7)
    y, lengths = layer(x, torch.tensor([6]))
    kernel = layer.layers[0]
    weight, bias = (kernel.get_parameter(name).detach().numpy() for name in ("weight", "bias"))
    assert weight.shape == (2, 1, 5, 5)  # 2 * stride + 1 frames, 5 bands
    framed = np.pad(x[0].numpy(), ((2, 2), (2, 2)))
    expected = np.zeros((3, 4, 2))
    for t, f, c in np.ndindex(*expected.shape):
        expected[t, f, c] = max(0.0, (framed[2 * t : 2 * t + 5, 2 * f : 2 * f + 5] * weight[c, 0]).sum() + bias[c])
    assert lengths.tolist() == [3] and layer.output_size == 8
    np.testing.assert_allclose(y[0].detach().numpy(), expected.reshape(3, 8), atol=1e-5)


@settings(deadline=None, max_examples=25)
@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=4),
    channels=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    bands=st.integers(1, 9),
    stride=st.integers(1, 4),
)
def test_a_batch_gives_what_singles_give(lengths: list[int], channels: list[int], bands: int, stride: int) -> None:
    torch.manual_seed(0)
    layers = Convolution(bands, channels, stride)
    utterances = [torch.randn(length, bands) for length in lengths]
    x, given_lengths = pad(utterances)
    x = torch.where(x == 0, 100.0, x)  # what stands behind an utterance's end must not matter
    y, frames = layers(x, given_lengths)
    assert frames.tolist() == [-(-length // stride) for length in lengths]
    assert frames.tolist() == layers.output_lengths(given_lengths).tolist()
    assert y.shape == (len(lengths), max(frames), layers.output_size)
    for row, utterance in enumerate(utterances):
        alone, _ = layers(utterance[None], torch.tensor([len(utterance)]))
        torch.testing.assert_close(y[row, : frames[row]], alone[0], atol=1e-5, rtol=1e-5)
        assert not y[row, frames[row] :].any()


def test_in_the_encoder() -> None:
    encoder = Encoder(8, 5, channels=[3, 4], stride=3)
    assert encoder.rnn.forwards[0].input_size == 4 * 2
    y, lengths = encoder(torch.randn(2, 10, 8), torch.tensor([10, 4]))
    assert (
        y.shape == (2, 4, 10) and lengths.tolist() == [4, 2] == encoder.output_lengths(torch.tensor([10, 4])).tolist()
    )


@pytest.mark.parametrize(("channels", "stride"), [([0], 1), (["a"], 1), ([2], 0), ([2.0], 1)])
def test_wrong_sizes(channels: list[int], stride: int) -> None:
    with pytest.raises(InputError, match=r"channels=.*, stride=.*: positive integers are expected"):
        Encoder(8, 5, channels=channels, stride=stride)
    with pytest.raises(InputError, match=r"stack=3: convolutions .*use stack=1"):
        Encoder(8, 5, channels=[2], stack=3)
