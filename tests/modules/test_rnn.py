"""The dense recurrent stack against torch's own over packed sequences."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from asr.errors import InputError
from asr.modules.cells import CELLS
from asr.modules.encoder import Encoder
from asr.modules.rnn import RNN, reversal, reverse
from asr.utils.masks import length_mask
from asr.utils.threads import torch_threads

MAKERS: dict[str, Any] = {"lstm": nn.LSTM, "gru": nn.GRU, "tanh": nn.RNN}
LENGTHS = [9, 1, 6, 2]


@contextmanager
def on_threads(threads: int) -> Iterator[None]:
    with torch_threads(threads):
        yield
        assert torch.get_num_threads() == threads


def packed(network: nn.RNNBase, x: Tensor, lengths: list[int]) -> Tensor:
    sequence = pack_padded_sequence(x, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
    return pad_packed_sequence(network(sequence)[0], batch_first=True, total_length=x.shape[1])[0]


def peer(cell: str = "lstm", layers: int = 2, bidirectional: bool = True, dropout: float = 0.0) -> nn.RNNBase:
    network: nn.RNNBase = MAKERS[cell](
        5, 4, layers, bidirectional=bidirectional, dropout=dropout if layers > 1 else 0, batch_first=True
    )
    for parameter in network.parameters():
        nn.init.uniform_(parameter, -0.7, 0.7)  # larger than torch's own, so that errors show
    return network


@settings(deadline=None, max_examples=40)
@given(
    cell=st.sampled_from(list(MAKERS)),
    layers=st.integers(1, 5),
    bidirectional=st.booleans(),
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=5),
    padding=st.integers(0, 3),
    threads=st.integers(1, 2),
    seed=st.integers(0, 1000),
)
def test_equals_packed_sequences(
    cell: str, layers: int, bidirectional: bool, lengths: list[int], padding: int, threads: int, seed: int
) -> None:
    with on_threads(threads):
        compare_with_packed_sequences(cell, layers, bidirectional, lengths, padding, seed)


def compare_with_packed_sequences(
    cell: str, layers: int, bidirectional: bool, lengths: list[int], padding: int, seed: int
) -> None:
    torch.manual_seed(seed)
    theirs = peer(cell, layers, bidirectional)
    ours = RNN.from_torch(theirs)
    x = torch.randn(len(lengths), max(lengths) + padding, 5)
    weights = torch.randn(*x.shape[:2], ours.output_size)
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    outputs = [ours(inputs[0], torch.tensor(lengths)), packed(theirs, inputs[1], lengths)]
    torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-5, atol=1e-5)
    for output in outputs:
        (output * weights).sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, rtol=1e-5, atol=1e-5)
    for stack, suffix in ((ours.forwards, ""), (ours.backwards, "_reverse")):
        for number, layer in enumerate(stack):
            for name, parameter in layer.named_parameters():
                reference = getattr(theirs, f"{name[:-1]}{number}{suffix}")
                torch.testing.assert_close(parameter.grad, reference.grad, rtol=1e-5, atol=1e-5)
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())


@pytest.mark.parametrize("cell", list(MAKERS))
@pytest.mark.parametrize("bidirectional", [True, False])
def test_a_batch_gives_what_singles_give(cell: str, bidirectional: bool) -> None:
    torch.manual_seed(0)
    rnn = RNN(5, 4, 3, cell=cell, bidirectional=bidirectional)
    x = torch.randn(len(LENGTHS), 11, 5)
    batch = rnn(x, torch.tensor(LENGTHS))
    for row, length in enumerate(LENGTHS):
        single = rnn(x[row : row + 1, :length], torch.tensor([length]))[0]
        torch.testing.assert_close(batch[row, :length], single, rtol=1e-5, atol=1e-6)
        assert not batch[row, length:].any()


def test_padding_is_never_seen() -> None:
    torch.manual_seed(0)
    rnn = RNN(5, 4, 3)
    x = torch.randn(len(LENGTHS), 11, 5)
    outside = ~length_mask(torch.tensor(LENGTHS), 11)
    y = rnn(x, torch.tensor(LENGTHS))
    assert torch.equal(y, rnn(x.masked_fill(outside[..., None], 1e6), torch.tensor(LENGTHS)))


def test_one_direction_does_not_see_the_future() -> None:
    torch.manual_seed(0)
    rnn = RNN(5, 4, 3, bidirectional=False)
    x = torch.randn(1, 10, 5)
    y = rnn(x, torch.tensor([10]))
    changed = x.clone()
    changed[:, 6:] += 1
    z = rnn(changed, torch.tensor([10]))
    assert torch.equal(y[:, :6], z[:, :6])
    assert not torch.isclose(y[:, 6:], z[:, 6:]).all(-1).any()


def test_dropout_is_between_layers_and_in_training_only() -> None:
    torch.manual_seed(0)
    x, lengths = torch.randn(3, 8, 5), torch.tensor([8, 3, 5])
    single = RNN(5, 4, 1, dropout=0.5)
    assert torch.equal(single.train()(x, lengths), single.eval()(x, lengths))
    deep = RNN(5, 4, 2, dropout=0.5)
    assert torch.equal(deep.eval()(x, lengths), deep(x, lengths))
    trained = [deep.train()(x, lengths) for _ in range(2)]
    assert not torch.equal(trained[0], trained[1])
    # everything dropped: the second layer sees zeros, but its own output is not touched
    blind = RNN(5, 4, 2, dropout=1.0).train()
    outputs = blind(x, lengths)
    zeros = torch.zeros(1, 8, 8)
    second = RNN(8, 4, 1)
    second.forwards[0], second.backwards[0] = blind.forwards[1], blind.backwards[1]
    torch.testing.assert_close(outputs[:1], second(zeros, torch.tensor([8])))


@pytest.mark.usefixtures("bfloat16")
def test_bfloat16_autocast_is_close() -> None:
    torch.manual_seed(0)
    rnn = RNN(20, 32, 3)
    x, lengths = torch.randn(4, 30, 20), torch.tensor([30, 7, 18, 1])
    exact = rnn(x, lengths)
    with torch.autocast("cpu", torch.bfloat16):
        rough = rnn(x, lengths)
    assert (exact - rough.float()).abs().max() < 0.03
    rough.float().square().mean().backward()
    rough_gradients = [p.grad.clone() for p in rnn.parameters() if p.grad is not None]
    rnn.zero_grad()
    exact.square().mean().backward()
    for gradient, parameter in zip(rough_gradients, rnn.parameters(), strict=True):
        assert parameter.grad is not None
        assert (gradient - parameter.grad).norm() < 0.05 * parameter.grad.norm()


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.integers(0, 3))
def test_reversal(lengths: list[int], padding: int) -> None:
    frames = max(lengths) + padding
    x = torch.arange(frames * len(lengths)).view(frames, len(lengths), 1)
    index = reversal(torch.tensor(lengths), frames)
    y = reverse(x, index)
    for column, length in enumerate(lengths):
        assert y[:length, column].tolist() == x[:length, column].flip(0).tolist()
        assert y[length:, column].tolist() == x[length:, column].tolist()
    assert torch.equal(reverse(y, index), x)


@pytest.mark.parametrize(("stack", "stride"), [(1, 1), (3, 3), (3, 2), (1, 2)])
def test_encoder_batch_gives_what_singles_give(stack: int, stride: int) -> None:
    torch.manual_seed(0)
    encoder = Encoder(5, 4, 2, stack=stack, stride=stride, dropout=0.5).eval()
    x, lengths = torch.randn(len(LENGTHS), 9, 5), torch.tensor(LENGTHS)
    y, frames = encoder(x, lengths)
    assert frames.tolist() == encoder.output_lengths(lengths).tolist() == [-(-n // stride) for n in LENGTHS]
    for row, length in enumerate(LENGTHS):
        single, _ = encoder(x[row : row + 1, :length], lengths[row : row + 1])
        torch.testing.assert_close(y[row, : frames[row]], single[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "qrnn"}, "cell='qrnn' is not one of tanh, relu, lstm"),
        ({"num_layers": 0}, "num_layers=0: positive integers"),
        ({"hidden_size": 0}, "hidden_size=0: positive integers"),
    ],
)
def test_wrong_sizes(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        RNN(**({"input_size": 5, "hidden_size": 4, "num_layers": 1} | options))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("options", [{}, {"residual": True, "layer_norm": True}, {"residual": 2}])
def test_frames_in_pieces_give_what_they_give_at_once(cell: str, options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    network = RNN(3, 4, 3, bidirectional=False, cell=cell, **options).eval()
    x = torch.randn(2, 23, 3)
    scaled = {1: 0.5, 2: 2.0}

    def between(layer: int, y: Tensor) -> Tensor:
        return y * scaled[layer]

    whole = network(x, torch.tensor([23, 23]), between)
    parts, states = [], None
    for piece in x.split([1, 5, 2, 15], 1):
        y, states = network.advance(piece, states, between)
        parts.append(y)
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=1e-3, atol=1e-4)


def test_a_bidirectional_network_needs_whole_sequences() -> None:
    with pytest.raises(InputError, match="at once"):
        RNN(3, 4).advance(torch.zeros(1, 2, 3))
