"""Text as one long sequence of labels, read in parallel streams."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from asr.errors import InputError


@dataclass(frozen=True)
class StreamBatch:
    """So many steps of parallel streams: ``labels`` (N, U + 1), the last of which is the next batch's first.

    ``number`` counts batches; 0 is where streams begin, from the state before any label.
    """

    labels: Tensor
    number: int

    @property
    def ids(self) -> Sequence[str]:
        return [f"batch {self.number}"]

    @property
    def amounts(self) -> dict[str, float]:
        return {"labels": self.labels[:, 1:].numel()}

    def to(self, device: torch.device) -> StreamBatch:
        """The same batch on another device."""
        return StreamBatch(self.labels.to(device), self.number)


class Streams:
    """The batches of one pass after another over a long sequence of labels (L,).

    The sequence begins and ends with the same label. It is cut into ``rows`` equal streams, read in steps of ``steps``
    labels, so that the state behind a batch is that before the next one. Where the cuts lie moves from epoch to epoch,
    by (seed, epoch) alone (``shuffle``). What does not fill a batch at the end is left out of that epoch; without
    ``shuffle`` it comes as a shorter one.
    Each of ``world`` processes has rows of its own.
    """

    def __init__(
        self,
        labels: Tensor,
        rows: int,
        steps: int,
        *,
        shuffle: bool = False,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if len(labels) < rows * world + 1:
            raise InputError(f"a text of {len(labels)} labels is too short for {rows * world} streams")
        self.labels, self.rows, self.steps, self.shuffle = labels, rows, steps, shuffle
        self.seed, self.rank, self.world = seed, rank, world
        self.epoch = self.skip = self.done = 0

    @property
    def batch_sampler(self) -> Streams:
        """Itself: Lightning calls ``set_epoch`` of a data loader's ``batch_sampler.sampler`` only."""
        return self

    @property
    def sampler(self) -> Streams:
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose batches come next; the trainer calls this."""
        self.epoch = epoch

    @property
    def _length(self) -> int:
        """Labels of one stream."""
        return (len(self.labels) - 1) // (self.rows * self.world)

    def __len__(self) -> int:
        return max(1, self._length // self.steps) if self.shuffle else -(-self._length // self.steps)

    def __iter__(self) -> Iterator[StreamBatch]:
        spare = len(self.labels) - 1
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        shift = int(torch.randint(spare, (), generator=generator)) if self.shuffle else 0
        # a circle: what stands before the first label is the last one
        text = torch.cat([self.labels[shift:], self.labels[1 : shift + 1]])
        first = self.rank * self.rows
        starts = [row * self._length for row in range(first, first + self.rows)]
        skip, self.skip = self.skip, 0
        for number in range(skip, len(self)):
            begin, end = number * self.steps, min((number + 1) * self.steps, self._length)
            self.done = number + 1
            yield StreamBatch(torch.stack([text[at + begin : at + end + 1] for at in starts]), number)

    def state_dict(self) -> dict[str, Any]:
        """Batches of the current epoch that have been handed out (0 when it is over)."""
        return {"done": self.done % len(self)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Skip those batches in the next epoch that is begun."""
        self.skip = self.done = state["done"]
