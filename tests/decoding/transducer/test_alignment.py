"""Forced alignment under a transducer against the enumeration of all alignments."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transducer_paths import ScoredNetwork, alignments, numbered, path_score, random_scores

from asr.decoding.hypothesis import Hypothesis
from asr.decoding.transducer import alignment
from asr.decoding.transducer.alignment import align, find_band
from asr.errors import InputError


@settings(deadline=None, max_examples=60)
@given(
    frames=st.integers(1, 6),
    cells=st.sampled_from([1, 8, 1000]),
    blank=st.integers(0, 2),
    seed=st.integers(0, 9999),
    data=st.data(),
)
def test_finds_the_best_of_all_alignments(frames: int, cells: int, blank: int, seed: int, data: st.DataObject) -> None:
    units = [label for label in range(3) if label != blank]
    labels = tuple(data.draw(st.lists(st.sampled_from(units), max_size=5)))
    scores = random_scores(seed, frames, 3)
    totals = {p: path_score(scores, frames, labels, p, blank) for p in alignments(frames, len(labels))}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alignment, "CELLS", cells)
        places, score = align(ScoredNetwork(scores, 3, blank), numbered(frames), labels)
    assert score == pytest.approx(max(totals.values()), abs=1e-4)
    assert totals[tuple(places.tolist())] == pytest.approx(score, abs=1e-4)


def test_any_label() -> None:
    scores = random_scores(3, 5, 4)
    network = ScoredNetwork(scores, 4)
    places, score = align(network, numbered(5), [2, 4, 1])  # 4 is any label, and the prediction network skips it
    best = -np.inf
    for first, second, third in alignments(5, 3):
        total = 0.0
        for t in range(5):
            before = [label for label, at in zip((2, 1), (first, third), strict=True) if at < t]
            seen = list(before)
            for label, at in ((2, first), (4, second), (1, third)):
                if at == t:
                    log_probs = scores(t, tuple(seen))
                    total += log_probs[label] if label < 4 else np.log(1 - np.exp(log_probs[0]))
                    seen += [label] if label < 4 else []
            total += scores(t, tuple(seen))[0]
        best = max(best, total)
    assert score == pytest.approx(best, abs=1e-4) and list(places) == sorted(places)


def test_a_band_around_what_is_recognized(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the best path lies within the band, it is found; scores outside are not looked at."""
    labels = [1, 2, 3, 1, 1, 2] * 5
    rng = np.random.default_rng(0)
    places = np.sort(rng.integers(0, 200, len(labels)))

    def scores(t: int, y: tuple[int, ...]) -> np.ndarray:
        u = len(y)
        says = u < len(labels) and places[u] <= t
        logits = np.zeros(4)
        logits[labels[u] if says else 0] = 5.0
        return logits - np.logaddexp.reduce(logits)

    network = ScoredNetwork(scores, 4)
    whole, score = align(network, numbered(200), labels)
    assert whole.tolist() == places.tolist()
    kept = [u for u in range(len(labels)) if u % 3]  # what is recognized lacks every third label
    recognized = Hypothesis(
        tuple(labels[u] for u in kept), 0.0, tuple((int(places[u]), int(places[u]) + 1) for u in kept), ()
    )
    monkeypatch.setattr(alignment, "MAX_PAIRS", 100)
    monkeypatch.setattr(alignment, "BAND", 30)
    monkeypatch.setattr(alignment, "CELLS", 60)
    low, high = find_band(np.array(labels), recognized, 200)
    assert (np.diff(low) >= 0).all() and (np.diff(high) >= 0).all() and (low <= high).all()
    assert low[0] == 0 and high[-1] == len(labels) and (high - low).mean() < len(labels) / 2
    banded, its_score = align(network, numbered(200), labels, recognized=recognized)
    assert banded.tolist() == whole.tolist() and its_score == pytest.approx(score)
    nothing = Hypothesis((), 0.0)
    found, _ = align(network, numbered(200), labels, recognized=nothing)
    assert (np.diff(found) >= 0).all()


def test_arguments_that_do_not_fit() -> None:
    network = ScoredNetwork(random_scores(0, 3, 3), 3)
    places, score = align(network, numbered(0), [])
    assert (places.tolist(), score) == ([], 0.0)
    with pytest.raises(InputError, match="no frames for 1 labels"):
        align(network, numbered(0), [1])
    for labels in ([0], [4], [-1]):
        with pytest.raises(InputError, match="labels must be 0 to 2 and not blank"):
            align(network, numbered(3), labels)
    with pytest.raises(InputError, match="3 frames have no path of these 1 labels"):
        align(ScoredNetwork(lambda t, y: np.array([0.0, -np.inf, -np.inf]), 3), numbered(3), [1])
