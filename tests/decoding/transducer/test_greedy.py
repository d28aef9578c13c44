"""Greedy search for transducers against a loop over frames."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transducer_paths import ScoredNetwork, Scores, numbered, random_scores

from asr.decoding.hypothesis import Hypothesis
from asr.decoding.transducer import greedy
from asr.decoding.transducer.greedy import MAX_PER_FRAME, TransducerGreedySearch


def plain_search(scores: Scores, frames: int, blank: int) -> tuple[list[int], list[int], float]:
    labels: list[int] = []
    places: list[int] = []
    total = 0.0
    for t in range(frames):
        for count in range(MAX_PER_FRAME + 1):
            log_probs = scores(t, tuple(labels))
            best = blank if count == MAX_PER_FRAME else int(log_probs.argmax())
            total += log_probs[best]
            if best == blank:
                break
            labels.append(best)
            places.append(t)
    return labels, places, total


def check(found: Hypothesis, scores: Scores, frames: int, blank: int = 0) -> None:
    labels, places, total = plain_search(scores, frames, blank)
    assert found.labels == tuple(labels)
    assert found.frames == tuple((t, t + 1) for t in places)
    assert found.score == pytest.approx(total, abs=1e-4)
    probs = [np.exp(scores(t, tuple(labels[:u]))[labels[u]]) for u, t in enumerate(places)]
    assert found.confidence == pytest.approx(probs, rel=1e-4)


@settings(deadline=None, max_examples=40)
@given(
    lengths=st.lists(st.integers(0, 25), min_size=1, max_size=3), labels=st.integers(2, 5), seed=st.integers(0, 9999)
)
def test_equals_a_loop_over_frames(lengths: list[int], labels: int, seed: int) -> None:
    scores = random_scores(seed, max(lengths), labels)
    blank = seed % labels
    network = ScoredNetwork(scores, labels, blank, longest=300)
    frames = torch.stack([numbered(max(lengths))] * len(lengths))
    for length, found in zip(lengths, greedy.search(network, frames, np.array(lengths)), strict=True):
        check(found, scores, length, blank)


def test_frames_in_pieces() -> None:
    scores = random_scores(1, 40, 4)
    search = TransducerGreedySearch(ScoredNetwork(scores, 4, longest=500))
    for part in numbered(40).split([3, 20, 1, 16]):
        search.feed(part[None], np.array([len(part)]))
    (found,) = search.finish()
    check(found, scores, 40)


def test_a_network_that_never_puts_out_a_blank() -> None:
    def scores(t: int, y: tuple[int, ...]) -> np.ndarray:
        return np.log([0.1, 0.9])

    (found,) = greedy.search(ScoredNetwork(scores, 2), numbered(3)[None], np.array([3]))
    assert len(found.labels) == 3 * MAX_PER_FRAME


def test_pauses() -> None:
    def scores(t: int, y: tuple[int, ...]) -> np.ndarray:
        if t in (4, 30) and len(y) < (1 if t == 4 else 2):
            return np.log([0.01, 0.99])
        return np.log([0.5, 0.5 - 1e-9, 1e-9])[:2] if t == 20 else np.log([0.99, 0.01])

    search = TransducerGreedySearch(ScoredNetwork(scores, 2))
    counted = []
    for frame in numbered(33):
        search.feed(frame[None, None], np.array([1]))
        counted.append(int(search.pauses[0]))
    assert counted[:6] == [1, 2, 3, 4, 1, 2]  # the label of frame 4 ends the pause, and its blank begins one
    assert counted[19] == 16 and counted[20] == 0 and counted[29] == 9 and counted[32] == 3
    whole = TransducerGreedySearch(ScoredNetwork(scores, 2))
    whole.feed(numbered(33)[None], np.array([33]))
    assert int(whole.pauses[0]) == 3
