"""Batches of parallel streams have every label once, in order, each after the one before it."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr.data.text_stream import BPTTBatches
from asr.errors import InputError


def streams_of(loader: BPTTBatches) -> list[list[int]]:
    """Return the labels of each stream, its first label included."""
    batches = list(loader)
    assert [batch.number for batch in batches] == list(range(len(loader)))
    streams: list[list[int]] = []
    for row in range(len(batches[0].labels)):
        segments = [batches[0].labels[row, :1]]
        for batch in batches:
            assert batch.labels[row, 0] == segments[-1][-1]
            segments.append(batch.labels[row, 1:])
        streams.append(torch.cat(segments).tolist())
    return streams


@given(count=st.integers(2, 60), batch_size=st.integers(1, 5), bptt=st.integers(1, 9), world=st.integers(1, 2))
def test_unshuffled(count: int, batch_size: int, bptt: int, world: int) -> None:
    labels = torch.arange(count)
    if count < batch_size * world + 1:
        with pytest.raises(InputError, match=f"{count} labels is too short for {batch_size * world} streams"):
            BPTTBatches(labels, batch_size, bptt, world=world)
        return
    loaders = [BPTTBatches(labels, batch_size, bptt, rank=rank, world=world) for rank in range(world)]
    length = (count - 1) // (batch_size * world)
    assert [stream for loader in loaders for stream in streams_of(loader)] == [
        list(range(n * length, (n + 1) * length + 1)) for n in range(batch_size * world)
    ]


@given(count=st.integers(20, 60), batch_size=st.integers(1, 4), bptt=st.integers(1, 4), epoch=st.integers(0, 3))
def test_shuffled_streams_begin_elsewhere_on_a_circle(count: int, batch_size: int, bptt: int, epoch: int) -> None:
    labels = torch.arange(count) % (count - 1)  # begins and ends with the same
    loader = BPTTBatches(labels, batch_size, bptt, shuffle=True, seed=1)
    loader.set_epoch(epoch)
    streams = streams_of(loader)
    assert streams == streams_of(loader)
    for stream in streams:
        assert all((before + 1) % (count - 1) == after for before, after in pairwise(stream))
        length = (count - 1) // batch_size
        assert len(stream) == 1 + max(1, length // bptt) * min(bptt, length)
    loader.set_epoch(epoch + 1)
    other = BPTTBatches(labels, batch_size, bptt, shuffle=True, seed=2)
    assert streams != streams_of(loader) or streams != streams_of(other)


def test_an_interrupted_epoch_goes_on() -> None:
    labels = torch.arange(41)
    whole, broken = (BPTTBatches(labels, 2, 4, shuffle=True) for _ in range(2))
    expected = [batch.labels.tolist() for batch in whole]
    iterator = iter(broken)
    first = [next(iterator).labels.tolist() for _ in range(2)]
    resumed = BPTTBatches(labels, 2, 4, shuffle=True)
    resumed.load_state_dict(broken.state_dict())
    assert first + [batch.labels.tolist() for batch in resumed] == expected
    assert [batch.labels.tolist() for batch in resumed] == expected  # the next epoch is whole
    assert resumed.state_dict() == {"done": 0}
