"""The label RNN against torch's own layers, one label at a time and all at once, with attention and without."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from asr.decoding.label.beam import LabelBeamOptions, search
from asr.errors import InputError
from asr.modules.label_rnn import LabelRNN, State

LABELS, HIDDEN, MEMORY = 7, 6, 5


def network(cell: str = "lstm", layers: int = 2, memory: int | None = None) -> LabelRNN:
    torch.manual_seed(0)
    options: dict[str, Any] = {"embedding_size": 4, "hidden_size": HIDDEN, "num_layers": layers}
    return LabelRNN(LABELS, **options, cell=cell, dropout=0.5, memory_size=memory).eval()


def start(net: LabelRNN, rows: int, seed: int = 0) -> State:
    if net.key is None:
        return net.start(rows)
    memory = torch.randn(rows, 4, MEMORY, generator=torch.Generator().manual_seed(seed))
    return net.start(rows, memory, torch.arange(rows) % 4 + 1)


def reference(net: LabelRNN, labels: Tensor) -> Tensor:
    """Log-probabilities by a torch.nn.LSTM with the same weights, and a softmax."""
    ours = net.layers
    lstm = nn.LSTM(4, HIDDEN, len(ours), batch_first=True)
    with torch.no_grad():
        for number, layer in enumerate(ours):
            for name, parameter in layer.named_parameters():
                getattr(lstm, f"{name[:-1]}{number}").copy_(parameter)
    return net.output(lstm(net.embedding(labels))[0]).log_softmax(-1)


def test_equals_torch() -> None:
    net, labels = network(layers=3), torch.randint(LABELS, (3, 5))
    log_probs, _ = net(labels, net.start(3))
    torch.testing.assert_close(log_probs, reference(net, labels))


@pytest.mark.parametrize("memory", [None, MEMORY])
def test_cross_entropy_is_of_the_log_probabilities(memory: int | None) -> None:
    net, labels = network(memory=memory), torch.randint(LABELS, (3, 6))
    log_probs, expected = net(labels[:, :-1], start(net, 3))
    nats, state = net.cross_entropy(labels[:, :-1], labels[:, 1:], start(net, 3))
    chosen = log_probs.gather(2, labels[:, 1:, None])[..., 0]
    torch.testing.assert_close(nats, -chosen.mean())
    torch.testing.assert_close(net.log_probs_of(labels[:, :-1], labels[:, 1:], start(net, 3)), chosen)
    torch.testing.assert_close(state.layers, expected.layers)


@pytest.mark.parametrize("memory", [None, MEMORY])
def test_feeding_an_embedding_is_reading_its_label(memory: int | None) -> None:
    net, labels = network(memory=memory), torch.randint(LABELS, (3, 2))
    fed = net.feed_inputs(net.embedding(labels), start(net, 3))
    _, read = net(labels, start(net, 3))
    for one, other in zip(fed.layers, read.layers, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_state_is_split_from_one_vector(cell: str) -> None:
    net = network(cell)
    values = torch.randn(3, net.state_size)
    hidden = net.hidden(values)
    assert torch.equal(torch.cat([part[0] for layer in hidden for part in layer], -1), values)
    _, then = net.step(net.start(3, hidden=hidden), torch.tensor([0, 1, 2]))
    assert [part.shape for layer in then.layers for part in layer] == [(1, 3, HIDDEN)] * (4 if cell == "lstm" else 2)


@settings(deadline=None, max_examples=25)
@given(
    cell=st.sampled_from(["lstm", "gru", "tanh"]),
    layers=st.integers(1, 3),
    memory=st.sampled_from([None, MEMORY]),
    cut=st.integers(0, 4),
)
def test_any_division_into_steps_gives_the_same(cell: str, layers: int, memory: int | None, cut: int) -> None:
    net, labels = network(cell, layers, memory), torch.randint(LABELS, (3, 5))
    expected, end = net(labels, start(net, 3))
    torch.testing.assert_close(expected.exp().sum(-1), torch.ones(3, 5))
    state, outputs = start(net, 3), []
    if cut:
        first, state = net(labels[:, :cut], state)
        outputs.append(first)
    for column in range(cut, 5):
        log_probs, state = net.step(state, labels[:, column])
        outputs.append(log_probs[:, None])
    torch.testing.assert_close(torch.cat(outputs, 1), expected)
    torch.testing.assert_close(state.layers, end.layers)
    if memory:
        torch.testing.assert_close(net.attention(state), net.attention(end))


def test_attention_is_the_softmax_of_bilinear_scores() -> None:
    net, labels = network(layers=1, memory=MEMORY), torch.randint(LABELS, (4, 3))
    state = start(net, 4)
    log_probs, end = net(labels, state)
    assert state.memory is not None and net.key is not None
    query = net.layers[0](net.embedding(labels).transpose(0, 1))[0].transpose(0, 1)
    total = torch.ones(4, 4)
    for row in range(4):
        places = row % 4 + 1
        values = state.memory.values[row, :places]
        weights = (query[row] @ net.key.weight @ values.T / HIDDEN**0.5).softmax(-1)
        read = torch.cat([query[row], weights @ values], -1)
        torch.testing.assert_close(log_probs[row], net.output(read).log_softmax(-1))
        total[row, :places] = weights.sum(0)
    torch.testing.assert_close(net.attention(end), total)


@pytest.mark.parametrize("memory", [None, MEMORY])
def test_rows_are_independent_and_can_be_chosen(memory: int | None) -> None:
    net, labels, rows = network(memory=memory), torch.randint(LABELS, (3, 2)), torch.tensor([2, 0, 2])
    _, state = net(labels, start(net, 3))
    log_probs, then = net.step(state, torch.tensor([1, 2, 3]))
    chosen, chosen_then = net.step(net.select(state, rows), torch.tensor([3, 1, 3]))
    torch.testing.assert_close(chosen, log_probs[rows])
    torch.testing.assert_close(chosen_then.layers, net.select(then, rows).layers)


def test_states_are_joined() -> None:
    net = network()
    _, state = net(torch.randint(LABELS, (3, 2)), net.start(3))
    apart = [net.select(state, torch.tensor(rows)) for rows in ([0], [1, 2])]
    torch.testing.assert_close(net.join(apart).layers, state.layers)
    with pytest.raises(InputError, match="cannot be joined"):
        net.join([start(network(memory=MEMORY), 2)])


def test_the_beam_search_runs_on_it() -> None:
    net = network()
    (best,), (again,) = search(net, 2, bos=0, eos=1, options=LabelBeamOptions(beam=4, max_length=5))
    assert best == again and all(0 <= label < LABELS for label in best.labels)
    labels = torch.tensor([[0, *best.labels, 1]])
    total = net(labels, net.start(1))[0][0, :-1].gather(1, labels[0, 1:, None]).sum()
    assert best.score == pytest.approx(total.item(), abs=1e-4)


def test_wrong_options_and_states() -> None:
    with pytest.raises(InputError, match="cell='rnn' is not one of tanh, relu, lstm"):
        network("rnn")
    with pytest.raises(InputError, match="num_layers=0: positive integers"):
        network(layers=0)
    with pytest.raises(InputError, match="start it without a memory"):
        network().start(2, torch.zeros(2, 3, MEMORY))
    with pytest.raises(InputError, match="start it with a memory"):
        network(memory=MEMORY).start(2)
    with pytest.raises(InputError, match="has no attention"):
        network().attention(network().start(2))
