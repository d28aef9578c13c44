"""Batches by length: each utterance once, bounded, deterministic, shared out, resumable."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.data.sampler import BucketSampler, plan_batches
from asr.errors import InputError

SECONDS = st.lists(st.floats(0.1, 20), min_size=1, max_size=40)
JITTER = 0.1


def epoch(sampler: BucketSampler, number: int = 0) -> list[list[tuple[int, int]]]:
    sampler.set_epoch(number)
    return list(sampler)


def padded(batch: list[int], seconds: list[float]) -> float:
    return len(batch) * max(seconds[i] for i in batch)


@given(SECONDS, st.floats(1, 60), st.none() | st.integers(1, 5))
def test_a_plan_has_each_utterance_once_within_the_limits(
    seconds: list[float], limit: float, utterances: int | None
) -> None:
    batches = plan_batches(seconds, limit, utterances)
    assert sorted(i for batch in batches for i in batch) == list(range(len(seconds)))
    for batch in batches:
        assert len(batch) == 1 or padded(batch, seconds) <= limit
        assert len(batch) <= (utterances or len(seconds))
    lengths = [seconds[i] for batch in batches for i in batch]
    assert lengths == sorted(lengths)


@given(SECONDS, st.floats(1, 60))
def test_a_plan_is_greedy(seconds: list[float], limit: float) -> None:
    """No batch could have taken the first utterance of the next one."""
    batches = plan_batches(seconds, limit)
    for batch, following in pairwise(batches):
        assert padded([*batch, following[0]], seconds) > limit


@settings(deadline=None)
@given(SECONDS, st.floats(1, 60), st.integers(0, 5), st.integers(0, 100))
def test_an_epoch_has_each_utterance_once_within_the_limits(
    seconds: list[float], limit: float, number: int, seed: int
) -> None:
    sampler = BucketSampler(seconds, limit, seed=seed, jitter=JITTER)
    batches = epoch(sampler, number)
    assert len(batches) == len(sampler)
    assert sorted(key for batch in batches for key in batch) == [(number, i) for i in range(len(seconds))]
    bound = limit * (1 + JITTER) / (1 - JITTER)
    for batch in batches:
        assert len(batch) == 1 or padded([i for _, i in batch], seconds) <= bound + 1e-9


def test_epochs_depend_on_seed_and_epoch_only() -> None:
    seconds = np.random.default_rng(0).uniform(1, 10, 200).tolist()
    sampler = BucketSampler(seconds, 30, seed=3)
    first, second = epoch(sampler, 0), epoch(sampler, 1)
    assert epoch(sampler, 0) == first == epoch(BucketSampler(seconds, 30, seed=3), 0)
    assert epoch(BucketSampler(seconds, 30, seed=4), 0) != first

    def members(batches: list[list[tuple[int, int]]]) -> set[frozenset[int]]:
        return {frozenset(i for _, i in batch) for batch in batches}

    assert members(first) != members(second)  # not just the same batches in another order
    assert len(first) == len(second)


def test_lightning_finds_where_to_set_the_epoch() -> None:
    from lightning.fabric.utilities.data import _set_sampler_epoch
    from torch.utils.data import DataLoader

    sampler = BucketSampler([1.0] * 20, 3)
    _set_sampler_epoch(DataLoader(range(20), batch_sampler=sampler), 7)  # type: ignore[arg-type]
    assert {number for batch in sampler for number, _ in batch} == {7}


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_an_epoch(world: int) -> None:
    seconds = np.random.default_rng(0).uniform(1, 10, 100).tolist()
    whole = epoch(BucketSampler(seconds, 30))
    shares = [epoch(BucketSampler(seconds, 30, rank=rank, world=world)) for rank in range(world)]
    assert {len(share) for share in shares} == {len(whole) // world}
    together = [batch for share in shares for batch in share]
    assert len({tuple(batch) for batch in together}) == len(together)
    assert all(batch in whole for batch in together)


def test_more_processes_than_batches() -> None:
    shares = [epoch(BucketSampler([1.0], 30, rank=rank, world=3)) for rank in range(3)]
    assert shares == [[[(0, 0)]]] * 3


@given(st.integers(0, 12))
def test_skipping_is_for_one_epoch(skip: int) -> None:
    sampler = BucketSampler([1.0] * 30, 3)
    whole, following = epoch(sampler, 2), epoch(sampler, 3)
    sampler.skip = skip
    assert epoch(sampler, 2) == whole[skip:]
    assert epoch(sampler, 3) == following


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="must be positive, not 0"):
        plan_batches([1.0], 0)
    with pytest.raises(InputError, match="no utterances"):
        BucketSampler([], 10)
