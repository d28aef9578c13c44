"""ParallelTexts of texts, what is read and what is to be written: files of them, and padded batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from asr.data.batch import pad
from asr.errors import InputError
from asr.text.vocabulary import Vocabulary
from asr.utils.atomic import write_if_changed
from asr.utils.text_files import read_lines

EXTENSION = ".tsv"  # of the files that are made of a corpus
ParallelTexts = dict[str, list[str]]  # what is read, and all that is right to write for it


def read(path: str | Path) -> ParallelTexts:
    """The pairs of a file, plain or compressed: ``source TAB target`` a line; a source again has one more target.

    Raises InputError naming the file, and the line that is not such.
    """
    pairs: ParallelTexts = {}
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        source, _, target = (part.strip() for part in line.partition("\t"))
        if not (source and target) or "\t" in target:
            raise InputError(f"{path}, line {number}: 'source TAB target' is wanted, not {line.strip()[:60]!r}")
        pairs.setdefault(source, []).append(target)
    if not pairs:
        raise InputError(f"{path}: there are no pairs in it")
    return pairs


class ParallelTextSummary(NamedTuple):
    """Size of a file."""

    sources: int
    pairs: int


def summary(pairs: Mapping[str, Sequence[str]]) -> ParallelTextSummary:
    """How many sources, and with all their targets pairs."""
    return ParallelTextSummary(len(pairs), sum(map(len, pairs.values())))


def write(pairs: Mapping[str, Iterable[str]], path: Path) -> bool:
    """Make a file of pairs, as `read` reads it; whether it was another before."""
    rows = (f"{source}\t{target}\n" for source, targets in pairs.items() for target in targets)
    return write_if_changed(path, "".join(rows).encode())


@dataclass(frozen=True)
class Seq2SeqBatch:
    """What a `asr.tasks.encoder_decoder.WritingTask` reads, and the labels that it should write.

    ``inputs`` (N, …) and ``lengths`` (N,); ``labels`` (N, U + 1), padded, that begin with <eos> and end with it after
    ``ends`` (N,) more; ``references`` of each row, all of them right.
    """

    ids: Sequence[str]
    inputs: Tensor
    lengths: Tensor
    labels: Tensor
    ends: Tensor
    references: Sequence[Sequence[str]]

    @property
    def amounts(self) -> dict[str, float]:
        return {"labels": int(self.ends.sum())}

    def to(self, device: torch.device) -> Seq2SeqBatch:
        """The same batch on another device."""
        moved = (self.inputs.to(device), self.lengths, self.labels.to(device), self.ends)
        return Seq2SeqBatch(self.ids, *moved, self.references)


@dataclass(frozen=True)
class PairExample:
    """One source with one target, as labels, and all its targets."""

    source: str
    inputs: Tensor
    labels: Tensor
    references: Sequence[str]


class PairDataset(Dataset[PairExample]):
    """ParallelTexts as labels; raises InputError naming the source of what a vocabulary does not know.

    An item is asked for by its index, or by (epoch, index) as `asr.data.sampler.BucketSampler` does. ``one`` takes only
    the first target of each source (to score against), else each makes an example.
    """

    def __init__(self, pairs: ParallelTexts, source: Vocabulary, target: Vocabulary, *, one: bool = False) -> None:
        assert target.eos is not None
        self.examples: list[PairExample] = []
        end = torch.tensor([target.eos])
        for text, targets in pairs.items():
            inputs = torch.tensor(source.encode(text, text), dtype=torch.long)
            if not len(inputs):
                raise InputError(f"{text!r}: nothing of it is left to read")
            references = [target.normalize_for_scoring(t) for t in targets]
            for written in targets[:1] if one else targets:
                labels = torch.tensor(target.encode(written, text), dtype=torch.long)
                self.examples.append(PairExample(text, inputs, torch.cat([end, labels, end]), references))

    @property
    def sizes(self) -> list[int]:
        """Labels read and written, of each example: what it costs."""
        return [len(example.inputs) + len(example.labels) for example in self.examples]

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, key: int | tuple[int, int]) -> PairExample:
        return self.examples[key[1] if isinstance(key, tuple) else key]

    def collate(self, examples: Sequence[PairExample]) -> Seq2SeqBatch:
        """A padded batch of examples."""
        inputs, lengths = pad([example.inputs for example in examples])
        labels, sizes = pad([example.labels for example in examples])
        sources = [example.source for example in examples]
        return Seq2SeqBatch(sources, inputs, lengths, labels, sizes - 1, [e.references for e in examples])
