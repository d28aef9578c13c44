"""What a batch of utterances is: padded tensors and integer lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import torch
from torch import Tensor


@dataclass(frozen=True)
class Targets:
    """Label sequences of one head, for those utterances of a batch that have one.

    ``rows`` (M,) are indices into the batch, ``labels`` the M sequences end to end, ``lengths`` (M,) theirs and
    ``frames_needed`` (M,) the frames below which CTC cannot emit each: its labels, and a blank in each repeat.
    """

    rows: Tensor
    labels: Tensor
    lengths: Tensor
    frames_needed: Tensor

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int] | None]) -> Targets:
        """Targets of a batch in which some utterances (None) have no label sequence."""
        present = [(row, labels) for row, labels in enumerate(sequences) if labels is not None]
        return cls(
            torch.tensor([row for row, _ in present], dtype=torch.long),
            torch.tensor([label for _, labels in present for label in labels], dtype=torch.long),
            torch.tensor([len(labels) for _, labels in present], dtype=torch.long),
            torch.tensor([len(s) + sum(a == b for a, b in pairwise(s)) for _, s in present], dtype=torch.long),
        )

    def repeat(self, times: int, size: int) -> Targets:
        """Targets of ``times`` copies, one behind the other, of the batch of ``size`` utterances."""
        return Targets(
            torch.cat([self.rows + copy * size for copy in range(times)]),
            self.labels.repeat(times),
            self.lengths.repeat(times),
            self.frames_needed.repeat(times),
        )

    def to(self, device: torch.device) -> Targets:
        # on CUDA, CTC reads lengths on the CPU
        return replace(self, rows=self.rows.to(device), labels=self.labels.to(device))


@dataclass(frozen=True)
class SpeechBatch:
    """Utterances padded to one length.

    ``inputs`` is (N, S) waveforms or (N, T, D) features, ``lengths`` (N,) integers; ``references`` holds for
    each head the text (or phones) an utterance is scored against, None where it has none; ``seconds`` is the
    audio in it.
    """

    ids: Sequence[str]
    inputs: Tensor
    lengths: Tensor
    targets: Mapping[str, Targets] = field(default_factory=dict)
    references: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def amounts(self) -> dict[str, float]:
        """How much there is in it."""
        return {"utt": len(self.ids), "audio-s": self.seconds}

    def to(self, device: torch.device) -> SpeechBatch:
        """The same batch on another device."""
        return replace(
            self,
            inputs=self.inputs.to(device, non_blocking=True),
            lengths=self.lengths.to(device),
            targets={head: targets.to(device) for head, targets in self.targets.items()},
        )


def pad(arrays: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Stack (S_i, …) tensors to (N, max S, …), zeros behind each, and their lengths (N,)."""
    lengths = torch.tensor([len(array) for array in arrays], dtype=torch.long)
    return torch.nn.utils.rnn.pad_sequence(list(arrays), batch_first=True), lengths
