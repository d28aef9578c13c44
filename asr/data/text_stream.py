"""Batches of one long text, for truncated backpropagation through time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from asr.errors import InputError


@dataclass(frozen=True)
class StreamBatch:
    """A segment of parallel streams, for truncated backpropagation through time.

    Attributes:
        labels: (N, U + 1); the last label of each stream is the next batch's first.
        number: of the batch; at 0 streams begin, from the state before any label.
    """

    labels: Tensor
    number: int

    @property
    def ids(self) -> Sequence[str]:
        """Name of the batch, for messages."""
        return [f"batch {self.number}"]

    @property
    def amounts(self) -> dict[str, float]:
        """Number of labels to predict."""
        return {"labels": self.labels[:, 1:].numel()}

    def to(self, device: torch.device) -> StreamBatch:
        """Move the batch to another device."""
        return StreamBatch(self.labels.to(device), self.number)


class BPTTBatches:
    """Batches for truncated backpropagation through time (BPTT) over one long sequence of labels.

    The sequence is cut into ``batch_size`` streams of equal length, and each batch has the next ``bptt`` labels of
    every stream: the network's state after a batch is its state before the next. With ``shuffle`` the positions of the
    cuts depend on (seed, epoch), and labels that do not fill the last batch are left out of that epoch; without it they
    make a shorter batch. Each of ``world`` processes has streams of its own.

    Args:
        labels: (L,) int64, which begins and ends with the same label.
        batch_size: number of parallel streams of a process.
        bptt: labels of a stream in a batch.
        shuffle: cut at other positions in every epoch.
        seed: of the positions.
        rank: number of this process, from 0.
        world: number of processes.

    Raises:
        InputError: fewer labels than streams.
    """

    def __init__(
        self,
        labels: Tensor,
        batch_size: int,
        bptt: int,
        *,
        shuffle: bool = False,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if len(labels) < batch_size * world + 1:
            raise InputError(
                f"a text of {len(labels)} labels is too short for {batch_size * world} streams of one label at least"
            )
        self.labels, self.batch_size, self.bptt, self.shuffle = labels, batch_size, bptt, shuffle
        self.seed, self.rank, self.world = seed, rank, world
        self.epoch = self.skip = self.done = 0

    @property
    def batch_sampler(self) -> BPTTBatches:
        """Return itself: Lightning calls ``set_epoch`` of a data loader's ``batch_sampler.sampler`` only."""
        return self

    @property
    def sampler(self) -> BPTTBatches:
        """Return itself, see `batch_sampler`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration; the trainer calls this."""
        self.epoch = epoch

    @property
    def _length(self) -> int:
        """Labels of one stream."""
        return (len(self.labels) - 1) // (self.batch_size * self.world)

    def __len__(self) -> int:
        return max(1, self._length // self.bptt) if self.shuffle else -(-self._length // self.bptt)

    def __iter__(self) -> Iterator[StreamBatch]:
        spare = len(self.labels) - 1
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        shift = int(torch.randint(spare, (), generator=generator)) if self.shuffle else 0
        # a circle: the label before the first is the last
        text = torch.cat([self.labels[shift:], self.labels[1 : shift + 1]])
        first = self.rank * self.batch_size
        starts = [stream * self._length for stream in range(first, first + self.batch_size)]
        skip, self.skip = self.skip, 0
        for number in range(skip, len(self)):
            begin, end = number * self.bptt, min((number + 1) * self.bptt, self._length)
            self.done = number + 1
            yield StreamBatch(torch.stack([text[at + begin : at + end + 1] for at in starts]), number)

    def state_dict(self) -> dict[str, Any]:
        """Return the number of batches that the current epoch has handed out (0 when it is over)."""
        return {"done": self.done % len(self)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Skip those batches in the next epoch."""
        self.skip = self.done = state["done"]
