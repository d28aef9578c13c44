"""Denominator of CTC-CRF: all label sequences, weighted by a trigram (Xiang & Ou 2019, arXiv 1911.08747).

CTC raises the probability of the labels of an utterance alone. CTC-CRF raises it relative to all label sequences that a
language model of labels allows, as a search with a language model compares them (the criterion is maximum mutual
information, MMI). The loss is CTC's plus ``log_partition``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from asr.errors import InputError
from asr.utils.masks import length_mask

# The trigram is a dense table of V * V * V numbers.
MOST_LABELS = 128


def check_crf(where: str, weight: float, labels: int, blank_penalty: float) -> None:
    """Raise InputError where a head cannot be trained by CTC-CRF.

    Args:
        where: setting of the head, for the message.
        weight: share of CTC-CRF.
        labels: size of the head's vocabulary.
        blank_penalty: of the head.
    """
    if not 0 < weight <= 1:
        raise InputError(f"{where}.crf={weight}: use a number from 0 (CTC) to 1 (CTC-CRF)")
    if blank_penalty:
        raise InputError(f"{where}: crf and blank_penalty exclude each other; set one of them to 0")
    if labels > MOST_LABELS:
        raise InputError(
            f"{where}: crf is possible for {MOST_LABELS} labels, this head has {labels}; "
            "use characters or phones, or crf: 0"
        )


class LabelTrigram(NamedTuple):
    """A trigram language model of labels; the index of the blank stands for the begin of the sequence.

    Attributes:
        follow: (V, V, V), ``follow[a, b, c]`` is the probability of c after a, b; 0 where c is the blank.
        end: (V, V), the probability that the sequence ends after a, b.
    """

    follow: Tensor
    end: Tensor

    def to(self, device: torch.device) -> LabelTrigram:
        """Return the model on a device."""
        return LabelTrigram(self.follow.to(device), self.end.to(device))


def estimate_trigram(sequences: Sequence[Sequence[int]], labels: int, blank: int) -> LabelTrigram:
    """Estimate a trigram with Witten-Bell smoothing (Chen & Goodman 1998, section 2.6), down to a uniform distribution.

    Args:
        sequences: label sequences, without blanks.
        labels: number V of labels, the blank included.
        blank: its index, which stands for the begin and, among what follows, for the end.
    """
    counts = np.zeros((labels, labels, labels))
    for sequence in sequences:
        padded = np.array([blank, blank, *sequence, blank])
        np.add.at(counts, (padded[:-2], padded[1:-1], padded[2:]), 1)
    probability = np.full(labels, 1 / labels)
    for table in (counts.sum((0, 1)), counts.sum(0), counts):
        total, kinds = table.sum(-1, keepdims=True), (table > 0).sum(-1, keepdims=True)
        probability = (table + kinds * probability) / np.maximum(total + kinds, 1) + (total == 0) * probability
    follow = torch.from_numpy(probability).float()
    end = follow[..., blank].clone()
    follow[..., blank] = 0
    return LabelTrigram(follow, end)


def log_partition(log_probs: Tensor, lengths: Tensor, model: LabelTrigram, blank: int) -> Tensor:
    """Compute the log of the sum, over all alignments of all label sequences, of path times sequence probability.

    Args:
        log_probs: scores of each frame (N, T, V) float32; of a label at a path's frame the path takes one.
        lengths: frames of each utterance (N,); at least 1.
        model: of the label sequences.
        blank: index of the blank.

    Returns:
        (N,) float32, differentiable with respect to ``log_probs``.
    """
    result: Tensor = _LogPartition.apply(log_probs, lengths, model.to(log_probs.device), blank)
    return result


class _LogPartition(torch.autograd.Function):
    """Forward-backward over states (b, c): the last two labels, and whether the frame emits c or a blank after it.

    Probabilities instead of their logarithms, each frame scaled to a sum of 1, make a step one matrix product for each
    b: (N, a) times (a, c). No state is left out, so that no probability that matters is below float32's range.
    """

    @staticmethod
    def forward(ctx: Any, log_probs: Tensor, lengths: Tensor, model: LabelTrigram, blank: int) -> Tensor:
        size, frames, labels = log_probs.shape
        inside = length_mask(lengths.to(log_probs.device), frames)
        probs, scale = _frame_probabilities(log_probs, inside, blank)
        change, repeat = _transitions(model)
        # (T, V b, N, V c): label c is emitted; (T, V b, N, V c): blank after b, c
        emits = probs.new_empty(frames, labels, size, labels)
        blanks = torch.empty_like(emits)
        emit, rest = torch.zeros_like(emits[0]), torch.zeros_like(emits[0])
        rest[blank, :, blank] = 1
        for t in range(frames):
            # the history (a, b) with b in front, for the product: (V b, N, V a)
            history = (emit + rest).transpose(0, 2)
            entered = torch.bmm(history, change)
            # the label again is another one only after a blank
            torch.diagonal(entered, dim1=0, dim2=2).add_((rest * repeat[:, None]).sum(0))
            rest = (emit + rest) * probs[t, :, blank, None]
            emit = (emit + entered) * probs[t]
            total = (emit.sum((0, 2)) + rest.sum((0, 2)))[:, None]
            emits[t] = emit = emit / total
            blanks[t] = rest = rest / total
            scale = scale + total[:, 0].log()
        final = ((emit + rest) * model.end[:, None]).sum((0, 2))
        ctx.save_for_backward(probs, inside, emits, blanks, change, repeat, model.end)
        ctx.blank = blank
        return scale + final.log()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        probs, inside, emits, blanks, change, repeat, end = ctx.saved_tensors
        blank: int = ctx.blank
        frames, size, labels = probs.shape
        occupied = torch.empty_like(probs)
        back = change.transpose(1, 2).contiguous()
        emit = rest = end[:, None].expand(labels, size, labels)
        for t in reversed(range(frames)):
            by_label = emits[t] * emit
            by_blank = (blanks[t] * rest).sum((0, 2))
            occupied[t] = by_label.sum(0)
            occupied[t, :, blank] = by_blank
            occupied[t] /= occupied[t].sum(-1, keepdim=True)
            # what follows from a state in the frame before
            emit = emit * probs[t]
            stay = rest * probs[t, :, blank, None]
            again = torch.diagonal(emit, dim1=0, dim2=2)  # (N, V b)
            # (V b, N, c) times (V b, c, a) gives (V b, N, a)
            entered = torch.bmm(emit, back).transpose(0, 2)
            rest = stay + entered + repeat[:, None] * again
            emit = emit + stay + entered
            total = (emit.sum((0, 2)) + rest.sum((0, 2)))[:, None]
            emit, rest = emit / total, rest / total
        return occupied.transpose(0, 1) * (inside * gradient[:, None])[:, :, None], None, None, None


def _frame_probabilities(log_probs: Tensor, inside: Tensor, blank: int) -> tuple[Tensor, Tensor]:
    """Return probabilities (T, N, V), a certain blank beyond the end, and the log of what was divided out, (N,)."""
    certain = torch.full_like(log_probs[0, 0], -torch.inf)
    certain[blank] = 0
    scores = torch.where(inside[:, :, None], log_probs.float(), certain)
    highest = scores.amax(-1, keepdim=True)
    return (scores - highest).exp().transpose(0, 1).contiguous(), highest.sum((1, 2))


def _transitions(model: LabelTrigram) -> tuple[Tensor, Tensor]:
    """Return the table (V b, V a, V c) of changes from a, b to c other than b, and that (V a, V b) of repeats of b."""
    change = model.follow.transpose(0, 1).contiguous()
    same = torch.diagonal(change, dim1=0, dim2=2)  # (V a, V b)
    repeat = same.clone()
    same.zero_()
    return change, repeat
