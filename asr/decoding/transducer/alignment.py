"""Viterbi alignment of labels to frames under a transducer (forced alignment)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from rapidfuzz.distance import Levenshtein
from torch import Tensor

from asr.decoding.hypothesis import Hypothesis
from asr.decoding.transducer.network import TransducerNetwork
from asr.errors import InputError
from asr.utils.numba_cache import njit
from asr.utils.numba_options import KERNEL

CELLS = 1 << 14  # pairs of a frame and a number of labels that the output network scores at a time
# Up to this many pairs the alignment is exact. Where there are more, as in ten minutes, a label may be at most
# `BAND` frames from where what is recognized would have it.
MAX_PAIRS = 4_000_000
BAND = 400


def align(
    network: TransducerNetwork,
    frames: Tensor,
    labels: Sequence[int],
    *,
    predicted: Tensor | None = None,
    recognized: Hypothesis | None = None,
) -> tuple[np.ndarray, float]:
    """Find the most probable path that emits a label sequence (Graves 2012, section 2.3).

    Args:
        network: the transducer with V labels.
        frames: (T, D).
        labels: (U,) without blanks; V stands for any label, which the prediction network does not read.
        predicted: (U + 1, O) outputs of the prediction network before each label and after the last; None: those of a
            sequence that begins with these labels.
        recognized: what greedy search finds, for sequences of more than `MAX_PAIRS`.

    Returns:
        The frame (U,) int64 in which each label is emitted, and the natural log of the path's probability.

    Raises:
        InputError: labels do not fit, there are none but no frames, or no path has a probability above zero.
    """
    sequence = np.asarray(labels, dtype=np.int64)
    count, total = len(sequence), len(frames)
    if count and (not 0 <= sequence.min() <= sequence.max() <= network.labels or (sequence == network.blank).any()):
        raise InputError(f"alignment: labels must be 0 to {network.labels - 1} and not blank ({network.blank})")
    if not total:
        if count:
            raise InputError(f"alignment: no frames for {count} labels")
        return np.zeros(0, dtype=np.int64), 0.0
    if predicted is None:
        predicted = predict(network, sequence)
    low, high = np.zeros(total, dtype=np.int64), np.full(total, count)
    if total * (count + 1) > MAX_PAIRS and recognized is not None:
        low, high = find_band(sequence, recognized, total)
    arrived = np.full(count + 1, -np.inf)
    arrived[0] = 0.0
    blocks = []
    begin = 0
    while begin < total:
        end = begin + max(1, CELLS // int(high[begin] - low[begin] + 1))
        end = min(end, total)
        first, last = int(low[begin]), int(high[end - 1])
        blank, emit = score_pairs(network, frames[begin:end], predicted[first : last + 1], sequence[first:last])
        emitted = np.zeros(blank.shape, dtype=np.bool_)
        _advance(blank, emit, low[begin:end] - first, high[begin:end] - first, arrived[first : last + 1], emitted)
        arrived[:first] = -np.inf
        blocks.append((begin, first, emitted))
        begin = end
    score = float(arrived[count])
    if score == -np.inf:
        raise InputError(f"alignment: {total} frames have no path of these {count} labels")
    places, u = np.empty(count, dtype=np.int64), count
    for begin, first, emitted in reversed(blocks):
        for t in range(len(emitted) - 1, -1, -1):
            while emitted[t, u - first]:
                u -= 1
                places[u] = begin + t
    return places, score


@torch.inference_mode()
def predict(network: TransducerNetwork, labels: np.ndarray) -> Tensor:
    """Return the outputs (U + 1, O) of the prediction network before each of ``labels`` (U,) and after the last."""
    is_known = labels < network.labels
    read = torch.from_numpy(labels[is_known]).to(network.device)
    seen = torch.from_numpy(np.r_[0, np.cumsum(is_known)]).to(network.device)
    return network.predict(read[None])[0][seen]


@torch.inference_mode()
def score_pairs(
    network: TransducerNetwork, frames: Tensor, predicted: Tensor, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Score the blank and the next label for all pairs of some frames and numbers of labels.

    Args:
        network: the transducer.
        frames: (C, D).
        predicted: (U + 1, O).
        labels: (U,), see `align`.

    Returns:
        Natural logs (C, U + 1) of the blanks and (C, U) of the labels, float32.
    """
    log_probs = network.log_probs(frames.to(network.device)[:, None], predicted[None])  # (C, U + 1, V)
    blank = log_probs[..., network.blank]
    known = torch.from_numpy(np.minimum(labels, network.labels - 1)).to(log_probs.device)
    emit = log_probs[:, :-1].gather(2, known[None, :, None].expand(len(frames), -1, 1))[..., 0]
    if (wild := labels == network.labels).any():
        any_label = (-torch.expm1(blank[:, :-1].clamp(max=0))).clamp(min=1e-12).log()
        emit = torch.where(torch.from_numpy(wild).to(emit.device), any_label, emit)
    return blank.cpu().numpy(), emit.cpu().numpy()


def find_band(labels: np.ndarray, recognized: Hypothesis, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the largest number (T,) of labels that may have been emitted before or in each frame.

    Args:
        labels: (U,) the label sequence.
        recognized: what greedy search finds. Where it has the labels, these have its frames, others those between.
        frames: number T of frames.
    """
    at, when = [0], [0]
    for block in Levenshtein.opcodes(labels.tolist(), recognized.labels):
        if block.tag == "equal":
            at += range(block.src_start + 1, block.src_end + 1)
            when += [first for first, _ in recognized.frames[block.dest_start : block.dest_end]]
    if at[-1] < len(labels):
        at.append(len(labels))
        when.append(frames)
    expected = np.interp(np.arange(len(labels) + 1), at, when)  # frame in which each number of labels is reached
    t = np.arange(frames)
    low = np.searchsorted(expected, t - BAND)
    high = np.searchsorted(expected, t + BAND, "right") - 1
    high[-1] = len(labels)
    return np.minimum(low, high), high


@njit(**KERNEL)
def _advance(
    blank: np.ndarray,
    emit: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    arrived: np.ndarray,
    emitted: np.ndarray,
) -> None:
    """Search some frames.

    Args:
        blank: (C, U + 1) natural logs.
        emit: (C, U) natural logs.
        low: (C,) the least number of labels in each frame.
        high: (C,) the largest one.
        arrived: (U + 1,) score of the best path to each number of labels before the frames, replaced by that after.
        emitted: (C, U + 1) whether the best path to a number of labels has the last one from this frame, written here.
    """
    for t in range(len(blank)):
        for u in range(low[t]):
            arrived[u] = -np.inf
        for u in range(low[t] + 1, high[t] + 1):
            here = arrived[u - 1] + emit[t, u - 1]
            if here > arrived[u]:
                arrived[u] = here
                emitted[t, u] = True
        for u in range(low[t], high[t] + 1):
            arrived[u] += blank[t, u]
        for u in range(high[t] + 1, len(arrived)):
            arrived[u] = -np.inf
