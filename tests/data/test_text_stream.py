"""Streams give every label once, in order, each behind the one before it."""

from __future__ import annotations

import gzip
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr.data.text_stream import Streams
from asr.data.texts import lines
from asr.errors import InputError


def rows_of(streams: Streams) -> list[list[int]]:
    """What each row reads, its first label included."""
    batches = list(streams)
    assert [batch.number for batch in batches] == list(range(len(streams)))
    read: list[list[int]] = []
    for row in range(len(batches[0].labels)):
        joined = [batches[0].labels[row, :1]]
        for batch in batches:
            assert batch.labels[row, 0] == joined[-1][-1]
            joined.append(batch.labels[row, 1:])
        read.append(torch.cat(joined).tolist())
    return read


@given(count=st.integers(2, 60), rows=st.integers(1, 5), steps=st.integers(1, 9), world=st.integers(1, 2))
def test_unshuffled(count: int, rows: int, steps: int, world: int) -> None:
    labels = torch.arange(count)
    if count < rows * world + 1:
        with pytest.raises(InputError, match=f"{count} labels is too short for {rows * world} streams"):
            Streams(labels, rows, steps, world=world)
        return
    read = [row for rank in range(world) for row in rows_of(Streams(labels, rows, steps, rank=rank, world=world))]
    length = (count - 1) // (rows * world)
    assert read == [list(range(n * length, (n + 1) * length + 1)) for n in range(rows * world)]


@given(count=st.integers(20, 60), rows=st.integers(1, 4), steps=st.integers(1, 4), epoch=st.integers(0, 3))
def test_shuffled_streams_begin_elsewhere_on_a_circle(count: int, rows: int, steps: int, epoch: int) -> None:
    labels = torch.arange(count) % (count - 1)  # begins and ends with the same
    streams = Streams(labels, rows, steps, shuffle=True, seed=1)
    streams.set_epoch(epoch)
    read = rows_of(streams)
    assert read == rows_of(streams)
    for row in read:
        assert all((before + 1) % (count - 1) == after for before, after in pairwise(row))
        assert len(row) == 1 + max(1, (count - 1) // rows // steps) * min(steps, (count - 1) // rows)
    streams.set_epoch(epoch + 1)
    other = Streams(labels, rows, steps, shuffle=True, seed=2)
    assert read != rows_of(streams) or read != rows_of(other)


def test_an_interrupted_epoch_goes_on() -> None:
    labels = torch.arange(41)
    whole, broken = (Streams(labels, 2, 4, shuffle=True) for _ in range(2))
    expected = [batch.labels.tolist() for batch in whole]
    iterator = iter(broken)
    found = [next(iterator).labels.tolist() for _ in range(2)]
    resumed = Streams(labels, 2, 4, shuffle=True)
    resumed.load_state_dict(broken.state_dict())
    assert found + [batch.labels.tolist() for batch in resumed] == expected
    assert [batch.labels.tolist() for batch in resumed] == expected  # the next epoch is whole
    assert resumed.state_dict() == {"done": 0}


def test_lines_of_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("é\n\nb")
    (tmp_path / "a.gz").write_bytes(gzip.compress("é\n\nb".encode()))
    assert list(lines(tmp_path / "a.txt")) == list(lines(str(tmp_path / "a.gz"))) == ["é\n", "\n", "b"]
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"b\.txt: not readable as text"):
        list(lines(tmp_path / "b.txt"))
