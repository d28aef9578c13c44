"""Loss of a transducer: the negative log-likelihood of label sequences, summed over all alignments (Graves 2012).

The output network gives each pair of a frame and a number of labels a distribution over V labels: T (U + 1) V numbers
for an utterance, 4 GB for 30 s and 1000 labels. `transducer_loss` never has them all. It computes them for some frames
at a time, keeps the two of each distribution that the lattice of alignments needs, and computes them again for the
gradient. Beyond the inputs and their gradients it takes O(T U) memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from asr.errors import InputError
from asr.modules import _transducer_lattice as lattice

CHUNK = 1 << 21  # numbers of a chunk in the widest layer of the output network: 8 MB, a few times as much in backward

# (C, O) outputs of the encoder and (U + 1, O) of the prediction network to logits (C, U + 1, V)
OutputNetwork = Callable[[Tensor, Tensor], Tensor]


def transducer_loss(
    network: OutputNetwork,
    encoded: Tensor,
    predicted: Tensor,
    labels: Tensor,
    lengths: Tensor,
    label_lengths: Tensor,
    *,
    parameters: Sequence[Tensor] = (),
    width: int = 0,
    blank: int = 0,
    may_emit: Tensor | None = None,
) -> Tensor:
    """Compute the negative log-likelihood of each label sequence, differentiable by network and inputs.

    Args:
        network: maps frames (C, O) and states of the prediction network (U + 1, O) to logits (C, U + 1, V).
        encoded: (N, T, O) frames, padded.
        predicted: (N, U + 1, O) outputs of the prediction network before each label and after the last, padded.
        labels: (N, U) int64, padded.
        lengths: (N,) frames of each utterance, at least 1.
        label_lengths: (N,) labels of each.
        parameters: of ``network``; those that are trained get a gradient.
        width: size of the widest layer of ``network`` besides the logits.
        blank: index of the blank.
        may_emit: (N, T) frames in which labels may be emitted; None: all.

    Returns:
        (N,) float32 natural logs; infinite where no alignment is possible, with a gradient of zero.

    Raises:
        InputError: lengths do not fit the shapes, or a label is the blank.
    """
    check_lengths(encoded, predicted, labels, lengths, label_lengths, blank)
    options = (network, blank, width, lengths.tolist(), label_lengths.tolist())
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    blanks, emits = _Scores.apply(options, encoded, predicted, labels, *trained)
    if may_emit is not None:
        emits = emits.masked_fill(~may_emit[:, :, None], -torch.inf)
    return lattice_loss(blanks, emits, lengths, label_lengths)


def loss_of_logits(logits: Tensor, labels: Tensor, lengths: Tensor, label_lengths: Tensor, *, blank: int = 0) -> Tensor:
    """Compute the loss from all logits at once, as torchaudio's ``rnnt_loss`` (with ``fused_log_softmax``) does.

    Args:
        logits: (N, T, U + 1, V), padded.
        labels: as in `transducer_loss`.
        lengths: as in `transducer_loss`.
        label_lengths: as in `transducer_loss`.
        blank: index of the blank.

    Returns:
        (N,) float32 natural logs.
    """
    log_probs = logits.to(_precision(logits)).log_softmax(-1)
    index = labels[:, None, :, None].expand(-1, logits.shape[1], -1, 1)
    emits = log_probs[:, :, :-1].gather(3, index)[..., 0]
    return lattice_loss(log_probs[..., blank], emits, lengths, label_lengths)


def check_lengths(
    encoded: Tensor, predicted: Tensor, labels: Tensor, lengths: Tensor, label_lengths: Tensor, blank: int
) -> None:
    """Raise InputError unless the arguments of `transducer_loss` fit each other."""
    rows = len(encoded)
    if not rows == len(predicted) == len(labels) == len(lengths) == len(label_lengths):
        raise InputError("frames, states, labels and lengths are of different numbers of utterances")
    if predicted.shape[1] != labels.shape[1] + 1:
        raise InputError(f"{labels.shape[1]} labels need {labels.shape[1] + 1} states, got {predicted.shape[1]}")
    if rows and not 1 <= int(lengths.min()) <= int(lengths.max()) <= encoded.shape[1]:
        raise InputError(f"lengths {lengths.tolist()}: use 1 to {encoded.shape[1]}, the number of frames")
    if rows and not 0 <= int(label_lengths.min()) <= int(label_lengths.max()) <= labels.shape[1]:
        raise InputError(f"label lengths {label_lengths.tolist()}: use 0 to {labels.shape[1]}, the number of labels")
    within = torch.arange(labels.shape[1], device=labels.device) < label_lengths.to(labels.device)[:, None]
    if bool(((labels == blank) & within).any()):
        raise InputError(f"label {blank} is the blank, which cannot be emitted")


def chunks(frames: int, nodes: int, width: int) -> Iterator[slice]:
    """Yield the ranges of frames whose pairs with ``nodes`` label counts have about `CHUNK` numbers."""
    step = max(1, CHUNK // max(1, nodes * width))
    for begin in range(0, frames, step):
        yield slice(begin, min(begin + step, frames))


def pair_scores(logits: Tensor, labels: Tensor, blank: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return what the lattice needs of logits.

    Args:
        logits: (C, U + 1, V) float.
        labels: (U,) the label after each number of labels.
        blank: index of the blank.

    Returns:
        Natural logs (C, U + 1) of the blanks and (C, U) of the labels, and the normalizers (C, U + 1).
    """
    normalizers = logits.logsumexp(-1)
    index = labels[None, :, None].expand(len(logits), -1, 1)
    emits = logits[:, :-1].gather(2, index)[..., 0] - normalizers[:, :-1]
    return logits[..., blank] - normalizers, emits, normalizers


class _Scores(torch.autograd.Function):
    """Log-probabilities (N, T, U + 1) of the blanks and (N, T, U) of the labels, 0 beyond an utterance's lattice."""

    @staticmethod
    def forward(
        ctx: Any, options: tuple[Any, ...], encoded: Tensor, predicted: Tensor, labels: Tensor, *parameters: Tensor
    ) -> tuple[Tensor, Tensor]:
        network, blank, width, lengths, label_lengths = options
        ctx.options = options
        ctx.save_for_backward(encoded, predicted, labels, *parameters)
        device = encoded.device.type
        ctx.autocast = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)
        blanks = encoded.new_zeros(*encoded.shape[:2], predicted.shape[1], dtype=_precision(encoded))
        emits = blanks.new_zeros(*encoded.shape[:2], labels.shape[1])
        for row, (frames, count) in enumerate(zip(lengths, label_lengths, strict=True)):
            states = predicted[row, : count + 1]
            for chunk in _sized_chunks(frames, count + 1, width, network, encoded[row], states):
                logits = network(encoded[row, chunk], states).to(blanks.dtype)
                blanks[row, chunk, : count + 1], emits[row, chunk, :count], _ = pair_scores(
                    logits, labels[row, :count], blank
                )
        return blanks, emits

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        network, blank, width, lengths, label_lengths = ctx.options
        encoded, predicted, labels, *parameters = ctx.saved_tensors
        by_blanks, by_emits = gradients
        sums = [torch.zeros_like(parameter) for parameter in parameters]
        by_encoded, by_predicted = torch.zeros_like(encoded), torch.zeros_like(predicted)
        enabled, dtype = ctx.autocast
        for row, (frames, count) in enumerate(zip(lengths, label_lengths, strict=True)):
            states = predicted[row, : count + 1].detach().requires_grad_()
            for chunk in _sized_chunks(frames, count + 1, width, network, encoded[row], states):
                part = encoded[row, chunk].detach().requires_grad_()
                # no cache of casted weights: it would belong to the graph of one chunk
                autocast = torch.autocast(encoded.device.type, dtype, enabled=enabled, cache_enabled=False)
                with torch.enable_grad(), autocast:
                    raw = network(part, states)
                with torch.no_grad():
                    by_logits = _logit_gradients(
                        raw.to(by_blanks.dtype),
                        labels[row, :count],
                        blank,
                        by_blanks[row, chunk, : count + 1],
                        by_emits[row, chunk, :count],
                    )
                own = torch.autograd.grad(raw, [part, states, *parameters], by_logits.to(raw.dtype))
                by_encoded[row, chunk] = own[0]
                by_predicted[row, : count + 1] += own[1]
                for total, gradient in zip(sums, own[2:], strict=True):
                    total += gradient
        return None, by_encoded, by_predicted, None, *sums


def _precision(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _sized_chunks(
    frames: int, nodes: int, width: int, network: OutputNetwork, encoded: Tensor, states: Tensor
) -> Iterator[slice]:
    """Yield the `chunks` of an utterance; a network is asked for the number of its labels."""
    with torch.no_grad():
        labels = network(encoded[:1], states[:1]).shape[-1]
    return chunks(frames, nodes, max(width, labels))


def _logit_gradients(logits: Tensor, labels: Tensor, blank: int, by_blanks: Tensor, by_emits: Tensor) -> Tensor:
    """Return the gradient (C, U + 1, V) by logits, of those by the blanks (C, U + 1) and labels (C, U)."""
    weights = by_blanks.clone()
    weights[:, :-1] += by_emits
    result = logits.softmax(-1).mul_(-weights[..., None])
    result[..., blank] += by_blanks
    index = labels[None, :, None].expand(len(logits), -1, 1)
    result[:, :-1].scatter_add_(2, index, by_emits[..., None].to(result.dtype))
    return result


def lattice_loss(blanks: Tensor, emits: Tensor, lengths: Tensor, label_lengths: Tensor) -> Tensor:
    """Sum over the alignments of label sequences, given the scores of the arcs.

    On a CPU compiled code runs on as many threads as torch uses, elsewhere torch's operations on diagonals.

    Args:
        blanks: (N, T, U + 1) natural logs of the blanks.
        emits: (N, T, U) natural logs of the labels.
        lengths: (N,) frames of each utterance.
        label_lengths: (N,) labels of each.

    Returns:
        (N,) negative natural logs of the sums, in the type of the scores.
    """
    nll: Tensor = _Lattice.apply(blanks, emits, lengths, label_lengths)
    return nll


class _Lattice(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, blanks: Tensor, emits: Tensor, lengths: Tensor, label_lengths: Tensor) -> Tensor:
        run = compiled_lattice if blanks.device.type == "cpu" else tensor_lattice
        totals, of_blanks, of_emits = run(blanks, emits, lengths, label_lengths)
        ctx.save_for_backward(of_blanks, of_emits)
        return -totals

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        of_blanks, of_emits = ctx.saved_tensors
        scale = -gradients[0][:, None, None]
        return of_blanks * scale, of_emits * scale, None, None


def compiled_lattice(
    blanks: Tensor, emits: Tensor, lengths: Tensor, label_lengths: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Run the forward-backward algorithm on a CPU; see `asr.modules._transducer_lattice`.

    Arguments are those of `lattice_loss`.

    Returns:
        (N,) natural logs of the sums over all paths, and their derivatives (N, T, U + 1) and (N, T, U) by the scores.
    """
    of_blanks, of_emits = torch.zeros_like(blanks), torch.zeros_like(emits)
    arrays = [x.detach().numpy() for x in (blanks, emits, of_blanks, of_emits)]
    sizes = zip(lengths.tolist(), label_lengths.tolist(), strict=True)
    cut = [[x[row, :t, : u + (i % 2 == 0)] for i, x in enumerate(arrays)] for row, (t, u) in enumerate(sizes)]
    alphas = [torch.empty(own[0].shape, dtype=torch.float64).numpy() for own in cut]
    betas = [torch.empty(own[0].shape, dtype=torch.float64).numpy() for own in cut]
    sweeps: list[tuple[Any, ...]] = [
        (lattice.forward, own[0], own[1], alpha) for own, alpha in zip(cut, alphas, strict=True)
    ]
    sweeps += [(lattice.backward, own[0], own[1], beta) for own, beta in zip(cut, betas, strict=True)]
    _run_all(sweeps)
    _run_all(
        (lattice.shares, own[0], own[1], alpha, beta, own[2], own[3])
        for own, alpha, beta in zip(cut, alphas, betas, strict=True)
    )
    totals = torch.tensor([float(beta[0, 0]) for beta in betas], dtype=blanks.dtype)
    return totals, of_blanks, of_emits


def _run_all(calls: Iterable[tuple[Any, ...]]) -> None:
    """Call functions with their arguments, on as many threads as torch uses."""
    calls = list(calls)
    if (threads := min(torch.get_num_threads(), len(calls))) < 2:
        for function, *arguments in calls:
            function(*arguments)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda call: call[0](*call[1:]), calls))


def tensor_lattice(
    blanks: Tensor, emits: Tensor, lengths: Tensor, label_lengths: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Do what `compiled_lattice` does in operations of torch, one for all nodes of a diagonal t + u of all utterances.

    Arguments and results are those of `compiled_lattice`.
    """
    total_frames, nodes = blanks.shape[1:]
    device = blanks.device
    precision = torch.float32 if device.type == "mps" else torch.float64  # which that device lacks
    frames, counts = lengths.to(device)[:, None, None], label_lengths.to(device)[:, None, None]
    position = torch.arange(nodes, device=device)
    frame = torch.arange(total_frames + nodes, device=device)[:, None] - position  # (D, U + 1)
    is_node = (frame >= 0) & (frame < frames) & (position <= counts)  # (N, D, U + 1)
    index = frame.clamp(0, total_frames - 1).expand(len(blanks), -1, -1)
    by_blank = blanks.to(precision).gather(1, index).masked_fill(~is_node, -torch.inf)
    padded = torch.nn.functional.pad(emits.to(precision), (0, 1))
    by_emit = padded.gather(1, index).masked_fill(~(is_node & (position < counts)), -torch.inf)
    alpha = torch.full_like(by_blank, -torch.inf)
    alpha[:, 0, 0] = 0
    for d in range(1, alpha.shape[1]):
        alpha[:, d] = alpha[:, d - 1] + by_blank[:, d - 1]
        moved = (alpha[:, d - 1] + by_emit[:, d - 1])[:, :-1]
        alpha[:, d, 1:] = torch.logaddexp(alpha[:, d, 1:], moved)
    ends = frames + counts == torch.arange(alpha.shape[1], device=device)[:, None]  # (N, D, 1)
    ends = ends & (position == counts)  # the place behind the last blank
    totals = alpha[ends]
    beta = torch.zeros_like(alpha[:, 0]).masked_fill(~ends[:, -1], -torch.inf)
    after_blank, after_emit = torch.full_like(alpha, -torch.inf), torch.full_like(alpha, -torch.inf)
    for d in range(alpha.shape[1] - 2, -1, -1):
        after_blank[:, d] = beta
        after_emit[:, d, :-1] = beta[:, 1:]
        beta = torch.logaddexp(beta + by_blank[:, d], after_emit[:, d] + by_emit[:, d]).masked_fill(ends[:, d], 0)
    scale = torch.where(totals == -torch.inf, 0, totals)[:, None, None]
    back = torch.arange(total_frames, device=device)[:, None] + position  # (T, U + 1): the diagonal of a node
    back = back.expand(len(blanks), -1, -1)
    of_blanks = (alpha + by_blank + after_blank - scale).exp().gather(1, back)
    of_emits = (alpha + by_emit + after_emit - scale).exp().gather(1, back)[..., :-1]
    return totals.to(blanks.dtype), of_blanks.to(blanks.dtype), of_emits.to(emits.dtype)
