"""Viterbi alignment of labels to frames under CTC (forced alignment)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from asr.decoding.hypothesis import Hypothesis
from asr.errors import InputError
from asr.utils.numba_cache import njit
from asr.utils.numba_options import INNER_KERNEL, KERNEL

# Frames from one whose scores are kept (a checkpoint) to the next. From the last checkpoint to the first, the frames
# between two are searched again, over the labels that the best path can have reached. So 3 hours of 30-ms frames and
# 150,000 labels take 0.5 GB; a back-pointer for each frame and state would take 100 GB.
CHECKPOINT_FRAMES = 2048
# Frames beside a label whose scores count for its confidence: speech that was passed over is next to it, while a noise
# in a long pause is not. On dev of recipes/english 5, 10, 20 and all frames make no difference.
REACH = 10
# Frames beside a label that count for its certainty. On joined recordings of LibriSpeech dev, with 5, 12, 25 and 50
# frames of 40 ms, the normalized cross entropy of calibrated words is 0.163, 0.153, 0.142 and 0.141 (0.134 without
# certainty); the more frames, the lower is the confidence in speech that is reversed and in melodies.
AROUND = 12


def align(log_probs: np.ndarray, labels: Sequence[int], blank: int = 0) -> tuple[np.ndarray, float]:
    """Find the most probable path that collapses to a label sequence (Graves et al. 2006, section 3).

    Each label has at least one frame, and equal neighbors have a blank between them.

    Args:
        log_probs: (T, V) natural logs.
        labels: (L,) the label sequence, without blanks.
        blank: index of blank.

    Returns:
        The path (T,) int64, which holds for each frame the index in ``labels`` of its label, or -1 for blank; and the
        natural log of its probability.

    Raises:
        InputError: shapes, labels or blank do not fit, or no path has a probability above zero, for example as there
            are fewer frames than labels and repeats.
    """
    log_probs = np.asarray(log_probs)
    sequence = np.asarray(labels, dtype=np.int64)
    if log_probs.ndim != 2 or sequence.ndim != 1:
        raise InputError(f"alignment: scores must be (T, V), labels (L,): got {log_probs.shape} and {sequence.shape}")
    size = log_probs.shape[1]
    if not 0 <= blank < size:
        raise InputError(f"alignment: blank {blank} is outside the {size} labels")
    if (sequence.size and not 0 <= sequence.min() <= sequence.max() < size) or (sequence == blank).any():
        raise InputError(f"alignment: labels must be 0 to {size - 1} and not blank ({blank})")
    if not len(log_probs):
        if sequence.size:
            raise InputError(f"alignment: no frames for {sequence.size} labels")
        return np.zeros(0, dtype=np.int64), 0.0
    path, score = _viterbi(log_probs, sequence, blank, CHECKPOINT_FRAMES)
    if score == -np.inf:
        needed = sequence.size + int((sequence[1:] == sequence[:-1]).sum())
        if needed > len(log_probs):
            lack = f"its {sequence.size} labels need {needed} frames, of which there are {len(log_probs)}"
            raise InputError(f"the text is too long for the recording: {lack}")
        raise InputError("alignment: all paths of the text have the probability 0")
    return path, score


def spans(path: np.ndarray, count: int) -> np.ndarray:
    """Return the first frame and last + 1, (count, 2), of each of ``count`` labels in a path (T,) of `align`."""
    frames = np.flatnonzero(path >= 0)
    indices = np.arange(count)
    first = np.searchsorted(path[frames], indices)
    last = np.searchsorted(path[frames], indices, "right") - 1
    return np.stack([frames[first], frames[last] + 1], -1)


def align_hypothesis(
    log_probs: np.ndarray,
    labels: Sequence[int],
    blank: int = 0,
    score: float | None = None,
    words: Sequence[tuple[int, int, int]] = (),
    free: np.ndarray | None = None,
) -> Hypothesis:
    """Make a hypothesis of a label sequence, with the spans of its labels on the best path.

    The confidence of a label is its largest probability within its span, as in greedy search. With ``free`` it is at
    most the ratio, in the frames nearest to it, of the probabilities of the best path of the label sequence and of the
    free path, which models do not bind: so it is low where a lexicon or a language model passes over what the network
    recognizes, beside the label as well as in its place.

    Args:
        log_probs: (T, V) natural logs.
        labels: the label sequence.
        blank: index of blank.
        score: the hypothesis's score; None: the natural log of the path's probability.
        words: the hypothesis's words. If there are any, only their labels have frames, and separators none.
        free: (T,) natural log of the most probable label of each frame; None: confidences are not compared with it.

    Returns:
        The hypothesis.

    Raises:
        InputError: as `align` does.
    """
    path, path_score = align(log_probs, labels, blank)
    frames = spans(path, len(labels))
    in_label = np.flatnonzero(path >= 0)  # the frames of a label are next to each other here
    path_labels = np.append(np.asarray(labels, dtype=np.int64), blank)[path]
    path_scores = log_probs[np.arange(len(path)), path_labels]
    confidence: tuple[float, ...] = ()
    if len(labels):
        peaks = np.maximum.reduceat(path_scores[in_label], np.searchsorted(in_label, frames[:, 0]))
        if free is not None:
            owners = np.concatenate([np.arange(first, end) for _, first, end in words]) if words else None
            peaks = np.minimum(peaks, _compare(path_scores - free, frames, owners).astype(peaks.dtype))
        confidence = tuple(np.exp(peaks).tolist())
    times = tuple((first, end) for first, end in frames.tolist())
    certainty = tuple(certainties(log_probs, frames, blank).tolist())
    return Hypothesis(
        tuple(labels), path_score if score is None else score, times, confidence, tuple(words), certainty=certainty
    )


def certainties(log_probs: np.ndarray, frames: np.ndarray, blank: int = 0) -> np.ndarray:
    """Compute how sure a network is of what it hears around each label.

    That is the probability of the best label other than blank, in the mean over the frames within `AROUND` of the
    label, each weighted by the probability that it is not blank. Speech has labels with a probability near 1, whichever
    they are; in noise, music and languages that the network does not know, labels are many and weak.

    Args:
        log_probs: (T, V) natural logs.
        frames: (L, 2) first frame and last + 1 of each label.
        blank: index of blank.

    Returns:
        (L,) float64, from 0 to 1.
    """
    probs = np.exp(log_probs, dtype=np.float64)
    heard = 1 - probs[:, blank]
    probs[:, blank] = 0
    sums = np.zeros((2, len(probs) + 1))
    np.cumsum([heard, heard * probs.max(1, initial=0)], axis=1, out=sums[:, 1:])
    first, end = np.maximum(frames[:, 0] - AROUND, 0), np.minimum(frames[:, 1] + AROUND, len(probs))
    weight, weighted = sums[:, end] - sums[:, first]
    return np.clip(weighted / np.maximum(weight, 1e-9), 0.0, 1.0)


def _compare(behind: np.ndarray, frames: np.ndarray, owners: np.ndarray | None) -> np.ndarray:
    """Sum the scores of the frames nearest to each label, up to `REACH` frames beside it.

    Args:
        behind: (T,) score of each frame.
        frames: (L, 2) first frame and last + 1 of each label.
        owners: indices of the labels that have frames; None: all.

    Returns:
        (L,) sums, 0 for a label that is not among ``owners``.
    """
    owners = np.arange(len(frames)) if owners is None else owners
    # Between two labels the first one has its half. Only frames that cost something matter, often none do.
    at = np.flatnonzero(behind)
    nearest = owners[np.searchsorted(frames[owners[:-1], 1] + frames[owners[1:], 0], 2 * at + 1)]
    is_near = (at >= frames[nearest, 0] - REACH) & (at < frames[nearest, 1] + REACH)
    return np.bincount(nearest[is_near], weights=behind[at[is_near]], minlength=len(frames))


@njit(**INNER_KERNEL)
def _step(
    p: np.ndarray,
    labels: np.ndarray,
    jump: np.ndarray,
    blank: int,
    before: np.ndarray,
    after: np.ndarray,
    low: int,
    high: int,
) -> None:
    """Score one frame: the best paths to the labels ``low`` to ``high`` - 1 and the blanks around them.

    Args:
        p: (V,) the frame's natural logs.
        labels: (L,) the label sequence.
        jump: (L,) 0 where a label may follow the one before it without a blank, else -inf.
        blank: index of blank.
        before: (2, L + 1) scores of the best path to each state: ``[0, i]`` is the blank before label i (the last one
            after all labels), ``[1, i + 1]`` is label i, and ``[1, 0]`` no state.
        after: (2, L + 1) the scores after the frame, written here.
        low: the first label.
        high: the last label + 1.
    """
    blanks, in_labels, new_blanks, new_labels = before[0], before[1], after[0], after[1]
    for i in range(low, high):
        best = max(in_labels[i + 1], blanks[i])
        best = max(best, in_labels[i] + jump[i])
        new_labels[i + 1] = best + p[labels[i]]
    for i in range(low, high + 1):
        new_blanks[i] = max(blanks[i], in_labels[i]) + p[blank]


def _viterbi(log_probs: np.ndarray, labels: np.ndarray, blank: int, interval: int) -> tuple[np.ndarray, float]:
    """Find the best path through the states blank, label 0, blank, label 1, …, blank, and its score.

    Forward over all frames, keeping the scores before every ``interval``-th; then block by block from the end:
    forward again, keeping all scores of the block, and back along the best path.
    """
    frames, count = len(log_probs), len(labels)
    block = min(frames, interval)
    jump = np.zeros(count)
    jump[1:][labels[1:] == labels[:-1]] = -np.inf
    path = np.full(frames, -1)
    scores = np.full((2, 2, count + 1), -np.inf)
    scores[0, 0, 0] = 0.0  # before the first frame
    checkpoints = np.empty((-(-frames // block), 2, count + 1))
    # a block cannot have more labels than frames
    rows = np.empty((block + 1, 2, min(count, block + 1) + 1))
    score = _search_path(log_probs, labels, jump, blank, block, scores, checkpoints, rows, path)
    return path, score


@njit(**KERNEL)
def _search_path(
    log_probs: np.ndarray,
    labels: np.ndarray,
    jump: np.ndarray,
    blank: int,
    interval: int,
    scores: np.ndarray,
    checkpoints: np.ndarray,
    rows: np.ndarray,
    path: np.ndarray,
) -> float:
    """Do what `_viterbi` does, in its arrays: write ``path`` and return its score. A block has ``interval`` frames."""
    frames, count = len(log_probs), len(labels)
    now, then = scores[0], scores[1]
    last_block = len(checkpoints) - 1
    for t in range(last_block * interval + 1):
        if t % interval == 0:
            for state in range(2):
                for k in range(count + 1):
                    checkpoints[t // interval, state, k] = now[state, k]
        if t < last_block * interval:
            # only labels that can be reached from the start and can still reach the end; other scores are not read
            _step(log_probs[t], labels, jump, blank, now, then, max(0, count - frames + t), min(count, t + 1))
            now, then = then, now
    score, i, in_label = -np.inf, count, False  # the state after the last frame: label i, or the blank before it
    for block in range(last_block, -1, -1):
        begin, end = block * interval, min((block + 1) * interval, frames)
        high = i + 1 if in_label else i
        low = max(0, high - (end - begin) - 1)
        for t in range(end - begin + 1):
            for state in range(2):
                for k in range(high - low + 1):
                    rows[t, state, k] = checkpoints[block, state, low + k] if t == 0 else -np.inf
        for t in range(begin, end):
            first, last = max(low, high - (end - t)), min(high, t + 1)
            before, after = rows[t - begin], rows[t - begin + 1]
            _step(log_probs[t], labels[low:], jump[low:], blank, before, after, first - low, last - low)
        if block == last_block:
            blanks, in_labels = rows[end - begin]
            in_label = in_labels[count - low] > blanks[count - low]
            score = max(in_labels[count - low], blanks[count - low])
            if score == -np.inf:
                return score
            i -= in_label
        i, in_label = _trace_back(rows, jump, path[begin:end], low, i, in_label)
    return score


@njit(**INNER_KERNEL)
def _trace_back(
    rows: np.ndarray, jump: np.ndarray, path: np.ndarray, low: int, i: int, in_label: bool
) -> tuple[int, bool]:
    """Follow the best path back through a block, from a state after its last frame to the state before its first.

    Args:
        rows: (T + 1, 2, labels + 1) scores before and after each frame, as in `_step`, of labels from ``low``.
        jump: see `_step`.
        path: (T,) the labels of the frames, written here where the path is not in blank.
        low: the first label in ``rows``.
        i: the state: label i, or the blank before it.
        in_label: whether the state is the label.

    Returns:
        The new ``i`` and ``in_label``.
    """
    for t in range(len(path) - 1, -1, -1):
        blanks, in_labels = rows[t]
        if in_label:
            path[t] = i
            if max(blanks[i - low], in_labels[i - low] + jump[i]) > in_labels[i - low + 1]:
                in_label = in_labels[i - low] + jump[i] > blanks[i - low]
                i -= in_label
        elif in_labels[i - low] > blanks[i - low]:
            in_label = True
            i -= 1
    return i, in_label
