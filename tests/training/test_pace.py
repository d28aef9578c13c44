"""The schedule that ends when the time is up."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest

from asr.training import pace as pace_module
from asr.training.pace import Pace


def shares(monkeypatch: pytest.MonkeyPatch, seconds: float, durations: Sequence[float], epochs: int) -> list[float]:
    """Shares done at the ends of the epochs of a training whose epochs take these times."""
    now = 100.0
    monkeypatch.setattr(pace_module.time, "monotonic", lambda: now)
    pace, done = Pace(seconds), []
    for epoch in range(epochs):
        pace.begin_epoch(epochs - epoch)
        assert pace.position(0.5) == pytest.approx((pace.position(0.0) + pace.position(1.0)) / 2)
        done.append(pace.position(1.0))
        now += durations[epoch]
        if pace.is_last:
            break
    assert done == sorted(done) and done[-1] == pytest.approx(1)
    return done


def test_even_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    done = shares(monkeypatch, 1000, [100] * 20, 20)
    assert len(done) == 10
    assert done[0] == pytest.approx(1 / 20)  # before anything is known of how long an epoch takes
    steps = [b - a for a, b in pairwise(done)]
    assert steps == pytest.approx([(1 - 1 / 20) / 9] * 9)


def test_no_more_epochs_than_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shares(monkeypatch, 1000, [10] * 5, 5) == pytest.approx([0.2, 0.4, 0.6, 0.8, 1])


def test_a_machine_that_slows_down(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(shares(monkeypatch, 1000, [100] * 4 + [200] * 20, 20)) == 7  # 400 s, then three of 200


def test_time_for_less_than_two(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(shares(monkeypatch, 150, [100] * 20, 20)) == 2  # the second is the last, though it ends late


def test_a_resumed_training_goes_on_where_it_was() -> None:
    pace = Pace(1000)
    pace.begin_epoch(10, done=0.5)
    assert pace.position(0.0) == 0.5 and pace.position(1.0) == pytest.approx(0.55)


def test_epochs_within_one_tick_of_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shares(monkeypatch, 60.0, [0.0] * 4, 4) == pytest.approx([0.25, 0.5, 0.75, 1.0])
