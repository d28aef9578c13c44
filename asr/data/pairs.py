"""Parallel texts, source and target: their files, and padded batches of them."""

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
from asr.text.outside import log_skipped
from asr.text.vocabulary import Vocabulary
from asr.utils.atomic import write_if_changed
from asr.utils.text_files import read_lines

EXTENSION = ".tsv"  # of the files that `asr prepare` writes
ParallelTexts = dict[str, list[str]]  # all correct targets of each source


class ParallelTextSummary(NamedTuple):
    """Size of parallel texts."""

    sources: int
    pairs: int


def read(path: str | Path) -> ParallelTexts:
    """Read a file with a line ``source TAB target`` for each pair; a source can have several lines.

    Raises:
        InputError: a file that cannot be read or has no pairs, or another line; it is named.
    """
    pairs: ParallelTexts = {}
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        source, _, target = (part.strip() for part in line.partition("\t"))
        if not (source and target) or "\t" in target:
            raise InputError(f"{path}, line {number}: expected 'source TAB target', got {line.strip()[:60]!r}")
        pairs.setdefault(source, []).append(target)
    if not pairs:
        raise InputError(f"{path}: the file has no pairs of texts")
    return pairs


def summary(pairs: Mapping[str, Sequence[str]]) -> ParallelTextSummary:
    """Count the sources, and the pairs of a source and one of its targets."""
    return ParallelTextSummary(len(pairs), sum(map(len, pairs.values())))


def write(pairs: Mapping[str, Iterable[str]], path: Path) -> bool:
    """Write a file for `read`; return whether it changed."""
    rows = (f"{source}\t{target}\n" for source, targets in pairs.items() for target in targets)
    return write_if_changed(path, "".join(rows).encode())


@dataclass(frozen=True)
class Seq2SeqBatch:
    """N inputs and target sequences for training an encoder-decoder (`asr.tasks.encoder_decoder`).

    Attributes:
        ids: names of the inputs.
        inputs: (N, …), padded.
        lengths: (N,) of the inputs, int64.
        labels: (N, U + 1) int64, padded: each row begins with <eos>, and ends with it at index ``ends``.
        ends: (N,) number of labels to predict, <eos> included.
        references: all correct outputs of each input.
    """

    ids: Sequence[str]
    inputs: Tensor
    lengths: Tensor
    labels: Tensor
    ends: Tensor
    references: Sequence[Sequence[str]]

    @property
    def amounts(self) -> dict[str, float]:
        """Number of labels to predict, for throughput figures."""
        return {"labels": int(self.ends.sum())}

    def to(self, device: torch.device) -> Seq2SeqBatch:
        """Move the inputs and labels to another device."""
        moved = (self.inputs.to(device), self.lengths, self.labels.to(device), self.ends)
        return Seq2SeqBatch(self.ids, *moved, self.references)


@dataclass(frozen=True)
class PairExample:
    """One source with one target as labels, (S,) and (U + 1,) with <eos> at both ends, and all its targets."""

    source: str
    inputs: Tensor
    labels: Tensor
    references: Sequence[str]


class PairDataset(Dataset[PairExample]):
    """Parallel texts as labels.

    An item is read by its index, or by (epoch, index) as `asr.data.sampler.BucketSampler` gives it.

    Args:
        pairs: the texts.
        source: vocabulary of the sources.
        target: vocabulary of the targets, with <eos>.
        first_only: use only the first target of each source, as for evaluation; else each makes an example.

    Raises:
        InputError: a text outside its vocabulary, or a source without labels; the source is named.
    """

    def __init__(
        self, pairs: ParallelTexts, source: Vocabulary, target: Vocabulary, *, first_only: bool = False
    ) -> None:
        assert target.eos is not None
        self.examples: list[PairExample] = []
        end = torch.tensor([target.eos])
        used = {text: targets[:1] if first_only else targets for text, targets in pairs.items()}
        for text, targets in used.items():
            inputs = torch.tensor(source.encode(text, text), dtype=torch.long)
            if not len(inputs):
                raise InputError(f"{text!r}: nothing is left of it when it is encoded")
            references = [target.normalize_for_scoring(reference) for reference in pairs[text]]
            for reference in targets:
                labels = torch.tensor(target.encode(reference, text), dtype=torch.long)
                self.examples.append(PairExample(text, inputs, torch.cat([end, labels, end]), references))
        log_skipped(source, ((text, text) for text in used))
        log_skipped(target, ((text, reference) for text, targets in used.items() for reference in targets))

    @property
    def sizes(self) -> list[int]:
        """Number of labels, of source and target, of each example."""
        return [len(example.inputs) + len(example.labels) for example in self.examples]

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, key: int | tuple[int, int]) -> PairExample:
        return self.examples[key[1] if isinstance(key, tuple) else key]

    def collate(self, examples: Sequence[PairExample]) -> Seq2SeqBatch:
        """Make a padded batch of examples."""
        inputs, lengths = pad([example.inputs for example in examples])
        labels, sizes = pad([example.labels for example in examples])
        sources = [example.source for example in examples]
        return Seq2SeqBatch(sources, inputs, lengths, labels, sizes - 1, [e.references for e in examples])
