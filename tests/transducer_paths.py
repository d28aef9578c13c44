"""Transducers by their definition, for tests: all alignments, their scores, and what they emit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations_with_replacement, product

import numpy as np
import torch
from torch import Tensor

Labels = tuple[int, ...]
# natural-log probabilities (V,) in a frame after a prefix
Scores = Callable[[int, Labels], np.ndarray]


def alignments(frames: int, count: int) -> Iterator[tuple[int, ...]]:
    """Yield the frames in which each of ``count`` labels is emitted, for every alignment."""
    return combinations_with_replacement(range(frames), count) if frames else iter(())


def path_score(scores: Scores, frames: int, labels: Labels, places: Sequence[int], blank: int = 0) -> float:
    """Return the natural log of the probability of one alignment."""
    total, done = 0.0, 0
    for t in range(frames):
        while done < len(labels) and places[done] == t:
            total += float(scores(t, labels[:done])[labels[done]])
            done += 1
        total += float(scores(t, labels[:done])[blank])
    return total


def sequence_score(scores: Scores, frames: int, labels: Labels, blank: int = 0) -> float:
    """Return the natural log of the probability of a label sequence: the sum over its alignments."""
    paths = [path_score(scores, frames, labels, places, blank) for places in alignments(frames, len(labels))]
    return float(np.logaddexp.reduce(paths)) if paths else -np.inf


def all_sequences(labels: int, longest: int, blank: int = 0) -> Iterator[Labels]:
    """Yield every label sequence up to a length."""
    units = [label for label in range(labels) if label != blank]
    for length in range(longest + 1):
        yield from product(units, repeat=length)


def graves_search(
    scores: Scores,
    frames: int,
    labels: int,
    beam: int,
    blank: int = 0,
    factor: Callable[[Labels, int], float] = lambda prefix, label: 0.0,
) -> dict[Labels, float]:
    """Search as Graves 2012 writes it (algorithm 1), over dictionaries of natural-log scores.

    A prefix that is extended to one that is in the beam already adds nothing then: the sum over prefixes at the
    begin of the frame has seen it. ``factor(prefix, label)`` is what models add to the score of a label.
    """
    kept: dict[Labels, float] = {(): 0.0}
    for t in range(frames):
        waiting = dict(kept)
        for y in sorted(kept, key=len):
            for length in range(len(y)):
                if (prefix := y[:length]) in kept:
                    rest = sum(float(scores(t, y[:k])[y[k]]) + factor(y[:k], y[k]) for k in range(length, len(y)))
                    waiting[y] = float(np.logaddexp(waiting[y], kept[prefix] + rest))
        merged = set(waiting)
        done: dict[Labels, float] = {}
        while waiting and sum(score > max(waiting.values()) for score in done.values()) < beam:
            best = max(waiting, key=lambda y: waiting[y])
            score = waiting.pop(best)
            log_probs = scores(t, best)
            done[best] = score + float(log_probs[blank])
            for label in range(labels):
                longer = (*best, label)
                if label != blank and longer not in merged:
                    waiting[longer] = score + float(log_probs[label]) + factor(best, label)
        kept = dict(sorted(done.items(), key=lambda item: -item[1])[:beam])
    return kept


def random_scores(seed: int, frames: int, labels: int, deviation: float = 1.5) -> Scores:
    """Return scores that differ by frame and prefix, made from normal random numbers."""
    store: dict[tuple[int, Labels], np.ndarray] = defaultdict()

    def scores(t: int, prefix: Labels) -> np.ndarray:
        if (t, prefix) not in store:
            rng = np.random.default_rng([seed, t, len(prefix), *prefix])
            logits = rng.normal(0, deviation, labels)
            store[t, prefix] = logits - np.logaddexp.reduce(logits)
        return store[t, prefix]

    return scores


class ScoredNetwork:
    """A transducer whose scores are those of a function; outputs and states are the labels read so far.

    Frames (…, 1) hold their own numbers. It counts the prefixes that it steps.
    """

    device = torch.device("cpu")

    def __init__(self, scores: Scores, labels: int, blank: int = 0, longest: int = 40) -> None:
        self.scores, self.labels, self.blank, self.longest = scores, labels, blank, longest
        self.steps = 0

    def start(self, rows: int) -> tuple[Tensor, Tensor]:
        states = torch.full((rows, self.longest), -1.0)
        return states, states

    def step(self, states: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        self.steps += len(labels)
        longer = states.clone()
        longer[torch.arange(len(labels)), (states >= 0).sum(1)] = labels.float()
        return longer, longer

    def predict(self, labels: Tensor) -> Tensor:
        states, _ = self.start(len(labels))
        outputs = [states]
        for column in labels.T:
            outputs.append(self.step(outputs[-1], column)[0])
        return torch.stack(outputs, 1)

    def log_probs(self, frames: Tensor, predicted: Tensor) -> Tensor:
        shape = torch.broadcast_shapes(frames.shape[:-1], predicted.shape[:-1])
        numbers = frames[..., 0].expand(shape).flatten().long().tolist()
        prefixes = predicted.expand(*shape, -1).reshape(-1, self.longest).long().tolist()
        rows = [self.scores(t, tuple(k for k in y if k >= 0)) for t, y in zip(numbers, prefixes, strict=True)]
        return torch.tensor(np.array(rows), dtype=torch.float32).reshape(*shape, self.labels)


def numbered(frames: int) -> Tensor:
    """Return the frames (T, 1) of a `ScoredNetwork`."""
    return torch.arange(float(frames))[:, None]
