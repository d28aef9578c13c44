"""Batches of utterances of similar length, bounded by their padded seconds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from asr.errors import InputError


def plan_batches(seconds: Sequence[float], max_seconds: float, max_utterances: int | None = None) -> list[list[int]]:
    """Cut utterances, sorted by length, into runs whose padded length is at most ``max_seconds``.

    An utterance longer than ``max_seconds`` makes a batch by itself. Returns indices into ``seconds``,
    shortest first.
    """
    if not max_seconds > 0:
        raise InputError(f"seconds of audio in a batch must be positive, not {max_seconds}")
    batches: list[list[int]] = []
    for index in np.argsort(seconds, kind="stable").tolist():
        # sorted, so the newest utterance is the longest of its batch
        full = not batches or (len(batches[-1]) + 1) * seconds[index] > max_seconds
        if full or (max_utterances and len(batches[-1]) >= max_utterances):
            batches.append([])
        batches[-1].append(index)
    return batches


class BucketSampler(Sampler[list[tuple[int, int]]]):
    """The training batches of one epoch after another, each a list of (epoch, index).

    The batches of an epoch are a function of (seed, epoch) alone, so that an interrupted run goes on with the
    batches it would have had. There are always as many, of the sizes `plan_batches` gives; which utterances
    meet in one changes, since lengths are jittered by up to ``jitter`` before they are sorted (so a batch can
    be longer than ``max_seconds`` by twice that share). Each of ``world`` processes gets every ``world``-th
    batch, all as many.
    """

    def __init__(
        self,
        seconds: Sequence[float],
        max_seconds: float,
        *,
        max_utterances: int | None = None,
        seed: int = 0,
        jitter: float = 0.1,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if not len(seconds):
            raise InputError("there are no utterances to make batches of")
        self.seconds = np.asarray(seconds, dtype=np.float64)
        sizes = [len(batch) for batch in plan_batches(seconds, max_seconds, max_utterances)]
        self.ends = np.cumsum(sizes)
        self.seed, self.jitter, self.rank, self.world = seed, jitter, rank, world
        self.epoch = 0
        self.skip = 0  # batches of the epoch that an interrupted run has done already

    @property
    def sampler(self) -> BucketSampler:
        """Itself: Lightning calls ``set_epoch`` of a data loader's ``batch_sampler.sampler`` only."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose batches come next; the trainer calls this."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        noise = rng.uniform(1 - self.jitter, 1 + self.jitter, len(self.seconds))
        order = np.argsort(self.seconds * noise, kind="stable")
        batches = [batch.tolist() for batch in np.split(order, self.ends[:-1])]
        shuffled = [batches[i] for i in rng.permutation(len(batches))]
        share = [shuffled[(self.rank + i * self.world) % len(shuffled)] for i in range(len(self))]
        skip, self.skip = self.skip, 0
        for batch in share[skip:]:
            yield [(self.epoch, index) for index in batch]

    def __len__(self) -> int:
        return max(len(self.ends) // self.world, 1)
