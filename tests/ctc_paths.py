"""CTC by its definition, for tests: random scores, paths and what they collapse to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby, product

import numpy as np

Labels = tuple[int, ...]


def collapse(path: Labels, blank: int) -> Labels:
    """Merge repeats, then remove blanks: the definition of Graves et al. 2006."""
    return tuple(label for label, _ in groupby(path) if label != blank)


def random_log_probs(seed: int, *shape: int, deviation: float = 2.0) -> np.ndarray:
    """Return the log-softmax, over the last axis, of normal random numbers."""
    logits = np.random.default_rng(seed).normal(0, deviation, shape)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def path_scores(log_probs: np.ndarray) -> dict[Labels, float]:
    """Return the natural log of the probability of each path through scores (T, V)."""
    paths = product(range(log_probs.shape[1]), repeat=len(log_probs))
    return {path: sum(log_probs[t, label] for t, label in enumerate(path)) for path in paths}


def sequence_probs(log_probs: np.ndarray, blank: int = 0) -> dict[Labels, float]:
    """Return the probability of each label sequence, the sum over its paths through scores (T, V)."""
    totals: dict[Labels, float] = defaultdict(float)
    for path, score in path_scores(log_probs).items():
        totals[collapse(path, blank)] += np.exp(score)
    return dict(totals)


def plain_search(
    log_probs: np.ndarray,
    beam: int,
    blank: int = 0,
    threshold: float = np.inf,
    factor: Callable[[Labels, int], float] = lambda prefix, label: 1.0,
) -> list[tuple[Labels, float]]:
    """Search as the papers write it, over dictionaries; prefixes and their scores, best first.

    ``factor(prefix, label)`` is by how much models change the probability of a prefix that is extended by a label.
    """
    kept: dict[Labels, tuple[float, float]] = {(): (1.0, 0.0)}
    for p in np.exp(log_probs):
        new: dict[Labels, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for prefix, (in_blank, in_label) in kept.items():
            new[prefix][0] += (in_blank + in_label) * p[blank]
            if prefix:
                new[prefix][1] += in_label * p[prefix[-1]]
            for label in range(len(p)):
                if label != blank:
                    is_repeat = bool(prefix) and prefix[-1] == label
                    source = in_blank if is_repeat else in_blank + in_label
                    longer = (*prefix, label)
                    new[longer][1] += source * p[label] * factor(prefix, label)
        possible = [prefix for prefix in new if sum(new[prefix]) > 0]
        best = sorted(possible, key=lambda prefix: -sum(new[prefix]))[:beam]
        best = [prefix for prefix in best if sum(new[prefix]) >= np.exp(-threshold) * sum(new[best[0]])]
        kept = {prefix: (new[prefix][0], new[prefix][1]) for prefix in best}
    return [(prefix, float(np.log(sum(p)))) for prefix, p in kept.items()]


def phrase_scores(words: Sequence[str], phrases: Mapping[tuple[str, ...], float]) -> float:
    """Add up the scores of all phrases, at each place where one ends."""
    return sum(
        bonus
        for phrase, bonus in phrases.items()
        for end in range(len(phrase), len(words) + 1)
        if tuple(words[end - len(phrase) : end]) == phrase
    )


PHRASES: list[dict[tuple[str, ...], float]] = [
    {},
    {("a", "b"): 2.0},
    {("a", "a"): 1.5, ("b", "a", "a"): 2.0, ("ab", "a"): -1.0},
]
