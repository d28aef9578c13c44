"""The loss of a transducer against the enumeration of all alignments, numerical gradients, and torch's autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transducer_paths import sequence_score

from asr.errors import InputError
from asr.modules import transducer_loss as module
from asr.modules.transducer_loss import loss_of_logits, transducer_loss

KERNELS = (module.compiled_lattice, module.tensor_lattice)


def example(seed: int, rows: int, frames: int, count: int, labels: int, blank: int) -> tuple[Tensor, ...]:
    """Return logits (N, T, U + 1, V) float64, labels (N, U), and lengths of both up to T and U."""
    rng = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(rows, frames, count + 1, labels, generator=rng, dtype=torch.float64)
    targets = torch.randint(labels - 1, (rows, count), generator=rng)
    targets += targets >= blank
    lengths = torch.randint(1, frames + 1, (rows,), generator=rng)
    return logits, targets, lengths, torch.randint(count + 1, (rows,), generator=rng)


def enumerated(logits: Tensor, labels: Tensor, lengths: Tensor, counts: Tensor, blank: int) -> list[float]:
    scores = logits.detach().log_softmax(-1).numpy()
    return [
        -sequence_score(lambda t, y, n=n: scores[n, t, len(y)], int(t), tuple(labels[n, :u].tolist()), blank)  # type: ignore[misc]
        for n, (t, u) in enumerate(zip(lengths.tolist(), counts.tolist(), strict=True))
    ]


def arcs(logits: Tensor, labels: Tensor, blank: int) -> tuple[Tensor, Tensor]:
    log_probs = logits.log_softmax(-1)
    index = labels[:, None, :, None].expand(-1, logits.shape[1], -1, 1)
    return log_probs[..., blank].contiguous(), log_probs[:, :, :-1].gather(3, index)[..., 0].contiguous()


@settings(deadline=None, max_examples=60)
@given(
    rows=st.integers(1, 3),
    frames=st.integers(1, 5),
    count=st.integers(0, 4),
    labels=st.integers(2, 4),
    seed=st.integers(0, 9999),
    data=st.data(),
)
def test_equals_the_enumeration_of_all_alignments(
    rows: int, frames: int, count: int, labels: int, seed: int, data: st.DataObject
) -> None:
    blank = data.draw(st.integers(0, labels - 1))
    logits, targets, lengths, counts = example(seed, rows, frames, count, labels, blank)
    expected = enumerated(logits, targets, lengths, counts, blank)
    assert loss_of_logits(logits, targets, lengths, counts, blank=blank).tolist() == pytest.approx(expected)
    for kernel in KERNELS:
        totals, _, _ = kernel(*arcs(logits, targets, blank), lengths, counts)
        assert totals.tolist() == pytest.approx([-nll for nll in expected])


@settings(deadline=None, max_examples=30)
@given(rows=st.integers(1, 3), frames=st.integers(1, 6), count=st.integers(0, 5), seed=st.integers(0, 9999))
def test_gradients_equal_numerical_ones(rows: int, frames: int, count: int, seed: int) -> None:
    logits, targets, lengths, counts = example(seed, rows, frames, count, 3, 0)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss_of_logits(x, targets, lengths, counts), logits)


@settings(deadline=None, max_examples=40)
@given(
    rows=st.integers(1, 4),
    frames=st.integers(1, 12),
    count=st.integers(0, 9),
    closed=st.booleans(),
    seed=st.integers(0, 9999),
)
def test_both_lattices_agree(rows: int, frames: int, count: int, closed: bool, seed: int) -> None:
    logits, targets, lengths, counts = example(seed, rows, frames, count, 4, 0)
    blanks, emits = arcs(logits, targets, 0)
    if closed:  # no label may be emitted in some frames
        emits[:, torch.rand(frames, generator=torch.Generator().manual_seed(seed)) < 0.5] = -torch.inf
    compiled, tensors = (kernel(blanks, emits, lengths, counts) for kernel in KERNELS)
    for one, other in zip(compiled, tensors, strict=True):
        torch.testing.assert_close(one, other)
    totals, of_blanks, of_emits = compiled
    possible = totals > -torch.inf
    # each path reads each frame once, and emits each label once
    assert of_blanks.sum(2)[possible].sum(1).tolist() == pytest.approx(lengths[possible].tolist())
    assert of_emits.sum((1, 2))[possible].tolist() == pytest.approx(counts[possible].tolist())
    assert torch.isfinite(of_blanks).all() and not of_blanks[~possible].any()


def test_scores_of_zero_probability() -> None:
    blanks, emits = torch.zeros(1, 2, 2), torch.full((1, 2, 1), -torch.inf)
    for kernel in KERNELS:
        totals, of_blanks, of_emits = kernel(blanks, emits, torch.tensor([2]), torch.tensor([1]))
        assert totals.tolist() == [-torch.inf] and not of_blanks.any() and not of_emits.any()


class Network(torch.nn.Module):
    """Both inputs into a tanh layer, then a linear one; it notes the largest number of logits that it makes."""

    def __init__(self, size: int, labels: int) -> None:
        super().__init__()
        self.output = torch.nn.Linear(size, labels, dtype=torch.float64)
        self.most = 0

    def forward(self, encoded: Tensor, predicted: Tensor) -> Tensor:
        logits: Tensor = self.output((encoded[..., :, None, :] + predicted[..., None, :, :]).tanh())
        self.most = max(self.most, logits.numel())
        return logits


def inputs(seed: int, rows: int, frames: int, count: int, size: int) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    shapes = (rows, frames, size), (rows, count + 1, size)
    encoded, predicted = (torch.randn(shape, generator=rng, dtype=torch.float64) for shape in shapes)
    return encoded.requires_grad_(), predicted.requires_grad_()


@settings(deadline=None, max_examples=30)
@given(
    rows=st.integers(1, 3),
    frames=st.integers(1, 7),
    count=st.integers(0, 4),
    chunk=st.sampled_from([1, 30, 60, 10_000]),
    seed=st.integers(0, 9999),
)
def test_in_chunks_of_frames_as_at_once(rows: int, frames: int, count: int, chunk: int, seed: int) -> None:
    _, targets, lengths, counts = example(seed, rows, frames, count, 4, 0)
    torch.manual_seed(seed)
    network = Network(5, 4)
    encoded, predicted = inputs(seed, rows, frames, count, 5)
    leaves = [encoded, predicted, *network.parameters()]
    weights = torch.rand(rows, dtype=torch.float64)
    at_once = loss_of_logits(network(encoded, predicted), targets, lengths, counts)
    expected = torch.autograd.grad((at_once * weights).sum(), leaves)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", chunk)
        parameters = list(network.parameters())
        nll = transducer_loss(network, encoded, predicted, targets, lengths, counts, parameters=parameters)
        found = torch.autograd.grad((nll * weights).sum(), leaves)
    torch.testing.assert_close(nll, at_once)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_no_more_logits_at_once_than_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 5000)
    network = Network(8, 20)
    encoded, predicted = inputs(0, 1, 100, 30, 8)
    labels = torch.randint(1, 20, (1, 30))
    loss = transducer_loss(
        network, encoded, predicted, labels, torch.tensor([100]), torch.tensor([30]), parameters=[*network.parameters()]
    )
    loss.sum().backward()
    assert network.most <= 5000 < 100 * 31 * 20
    assert encoded.grad is not None and torch.isfinite(encoded.grad).all()


def test_mixed_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 100)
    network = Network(6, 5).float()
    encoded, predicted = (x.detach().float().requires_grad_() for x in inputs(0, 2, 7, 3, 6))
    data = torch.tensor([[1, 2, 3], [4, 1, 1]]), torch.tensor([7, 5]), torch.tensor([3, 1])
    leaves = [encoded, predicted, *network.parameters()]

    def loss() -> Tensor:
        nll = transducer_loss(network, encoded, predicted, *data, parameters=[*network.parameters()])
        assert nll.dtype == torch.float32
        return nll.sum()

    exact = torch.autograd.grad(loss(), leaves)
    with torch.autocast("cpu", torch.bfloat16):
        outside = loss()
        inside = torch.autograd.grad(loss(), leaves)
    after = torch.autograd.grad(outside, leaves)
    for gradients in (inside, after):
        for one, other in zip(gradients, exact, strict=True):
            torch.testing.assert_close(one, other, atol=0.05, rtol=0.05)


def test_frozen_parameters_get_no_gradient() -> None:
    network = Network(3, 3).requires_grad_(False)
    encoded, predicted = inputs(0, 1, 3, 1, 3)
    lengths, counts = torch.tensor([3]), torch.tensor([1])
    parameters = list(network.parameters())
    transducer_loss(
        network, encoded, predicted, torch.tensor([[1]]), lengths, counts, parameters=parameters
    ).sum().backward()
    assert network.output.weight.grad is None and encoded.grad is not None


def test_labels_are_emitted_only_where_they_may_be() -> None:
    logits, targets, _, _ = example(3, 1, 4, 2, 3, 0)
    may = torch.tensor([[False, True, True, False], [False] * 4])

    def network(part: Tensor, states: Tensor) -> Tensor:
        return logits[0, : len(part)]

    nll = transducer_loss(
        network,
        torch.zeros(2, 4, 1),
        torch.zeros(2, 3, 1),
        targets.repeat(2, 1),
        torch.tensor([4, 4]),
        torch.tensor([2, 2]),
        may_emit=may,
    )
    scores = logits[0].log_softmax(-1).numpy()
    scores[[0, 3], :, 1:] = -np.inf
    expected = -sequence_score(lambda t, y: scores[t, len(y)], 4, tuple(targets[0].tolist()))
    assert nll.tolist() == pytest.approx([expected, np.inf], rel=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lengths": torch.tensor([0])}, "lengths .0.: use 1 to 3"),
        ({"lengths": torch.tensor([4])}, "use 1 to 3, the number of frames"),
        ({"label_lengths": torch.tensor([3])}, "use 0 to 2, the number of labels"),
        ({"labels": torch.tensor([[1, 0]])}, "label 0 is the blank"),
        ({"predicted": torch.zeros(1, 2, 1)}, "2 labels need 3 states, got 2"),
        ({"labels": torch.tensor([[1, 1]] * 2)}, "different numbers of utterances"),
    ],
)
def test_arguments_that_do_not_fit(change: dict[str, Tensor], message: str) -> None:
    arguments: dict[str, Any] = {
        "encoded": torch.zeros(1, 3, 1),
        "predicted": torch.zeros(1, 3, 1),
        "labels": torch.tensor([[1, 1]]),
        "lengths": torch.tensor([3]),
        "label_lengths": torch.tensor([2]),
    }
    network: Callable[[Tensor, Tensor], Tensor] = lambda a, b: torch.zeros(len(a), len(b), 2)  # noqa: E731
    with pytest.raises(InputError, match=message):
        transducer_loss(network, **arguments | change)


def test_equals_torchaudio() -> None:
    from asr.utils.torchaudio import import_torchaudio

    logits, targets, lengths, counts = example(5, 4, 9, 5, 6, 0)
    lengths[0], counts[0] = 9, 5  # torchaudio wants full shapes
    reference = logits.float().requires_grad_()
    integers = (x.to(torch.int32) for x in (targets, lengths, counts))
    try:
        import_torchaudio()
        from torchaudio.functional import rnnt_loss

        theirs = rnnt_loss(reference, *integers, blank=0, reduction="none")
    except (ImportError, AttributeError, RuntimeError, OSError) as error:
        pytest.skip(f"torchaudio's loss does not load here: {error}")
    theirs.sum().backward()
    mine = logits.float().requires_grad_()
    ours = loss_of_logits(mine, targets, lengths, counts)
    ours.sum().backward()
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(mine.grad, reference.grad, atol=1e-4, rtol=1e-4)
