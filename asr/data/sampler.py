"""Sampling of batches: utterances of similar length, bounded by their padded seconds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from asr.errors import InputError


def plan_batches(seconds: Sequence[float], max_seconds: float, max_utterances: int | None = None) -> list[list[int]]:
    """Group utterances by length into batches whose padded duration is at most ``max_seconds``.

    Args:
        seconds: duration of each utterance (or any other size).
        max_seconds: largest padded duration of a batch; an utterance that is longer makes a batch by itself.
        max_utterances: largest number of utterances in a batch; None: any.

    Returns:
        Indices into ``seconds``, shortest first.

    Raises:
        InputError: ``max_seconds`` is not positive.
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
    """Samples the training batches of one epoch after another, each a list of (epoch, index).

    The batches of an epoch are a function of (seed, epoch) alone, so that an interrupted run continues with the batches
    it would have had. Every epoch has the same number of batches, of the sizes of `plan_batches`; which utterances
    share one changes, since lengths are jittered before they are sorted. Each of ``world`` processes gets every
    ``world``-th batch, all the same number.

    Args:
        seconds: duration of each utterance (or any other size).
        max_seconds: largest padded duration of a batch; jitter can exceed it by the fraction ``2 * jitter``.
        max_utterances: largest number of utterances in a batch; None: any.
        seed: of the jitter and the order of batches.
        jitter: largest relative change of a length before sorting.
        rank: number of this process, from 0.
        world: number of processes.

    Raises:
        InputError: no utterances, or ``max_seconds`` is not positive.
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
            raise InputError("there are no utterances to train on")
        self.seconds = np.asarray(seconds, dtype=np.float64)
        sizes = [len(batch) for batch in plan_batches(seconds, max_seconds, max_utterances)]
        self.ends = np.cumsum(sizes)
        self.seed, self.jitter, self.rank, self.world = seed, jitter, rank, world
        self.epoch = 0
        self.skip = 0  # batches of the epoch that an interrupted run has done already

    @property
    def sampler(self) -> BucketSampler:
        """Return itself: Lightning calls ``set_epoch`` of a data loader's ``batch_sampler.sampler`` only."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration; the trainer calls this."""
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
