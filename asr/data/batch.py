"""Batches of utterances: padded tensors and integer lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import torch
from torch import Tensor


@dataclass(frozen=True)
class Targets:
    """Label sequences of one head, for the M utterances of a batch that have one; int64.

    Attributes:
        rows: (M,) indices into the batch.
        labels: (sum of lengths,) the sequences end to end.
        lengths: (M,) labels of each sequence.
        frames_needed: (M,) fewest frames in which CTC can emit each: its labels, and a blank within each repeat.
    """

    rows: Tensor
    labels: Tensor
    lengths: Tensor
    frames_needed: Tensor

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int] | None]) -> Targets:
        """Make the targets of a batch in which some utterances (None) have no label sequence."""
        present = [(row, labels) for row, labels in enumerate(sequences) if labels is not None]
        return cls(
            torch.tensor([row for row, _ in present], dtype=torch.long),
            torch.tensor([label for _, labels in present for label in labels], dtype=torch.long),
            torch.tensor([len(labels) for _, labels in present], dtype=torch.long),
            torch.tensor([len(s) + sum(a == b for a, b in pairwise(s)) for _, s in present], dtype=torch.long),
        )

    def repeat(self, times: int, size: int) -> Targets:
        """Make the targets of a batch of ``size`` utterances that is repeated ``times`` times, end to end."""
        return Targets(
            torch.cat([self.rows + copy * size for copy in range(times)]),
            self.labels.repeat(times),
            self.lengths.repeat(times),
            self.frames_needed.repeat(times),
        )

    def to(self, device: torch.device) -> Targets:
        """Move rows and labels to another device; torch's CTC loss reads lengths on the CPU."""
        return replace(self, rows=self.rows.to(device), labels=self.labels.to(device))


@dataclass(frozen=True)
class SpeechBatch:
    """N utterances padded to one length.

    Attributes:
        ids: names of the utterances.
        inputs: (N, S) waveforms or (N, T, D) features, float32.
        lengths: (N,) samples or frames, int64.
        targets: label sequences of each head.
        references: for each head the text (or phones) of each utterance for error rates; None where it has none.
        seconds: duration of the audio, without padding.
        padding: (N, 2) samples of silence or noise put before and after each utterance; None: none anywhere.
        clean: (N, S) waveforms without perturbations of the sound, for a teacher; None: there is no teacher.
    """

    ids: Sequence[str]
    inputs: Tensor
    lengths: Tensor
    targets: Mapping[str, Targets] = field(default_factory=dict)
    references: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    seconds: float = 0.0
    padding: Tensor | None = None
    clean: Tensor | None = None

    @property
    def amounts(self) -> dict[str, float]:
        """Number of utterances and seconds of audio, for throughput figures."""
        return {"utt": len(self.ids), "audio-s": self.seconds}

    def to(self, device: torch.device) -> SpeechBatch:
        """Move the batch to another device."""
        return replace(
            self,
            inputs=self.inputs.to(device, non_blocking=True),
            lengths=self.lengths.to(device),
            padding=None if self.padding is None else self.padding.to(device),
            clean=None if self.clean is None else self.clean.to(device, non_blocking=True),
            targets={head: targets.to(device) for head, targets in self.targets.items()},
        )


def pad(arrays: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Stack N tensors (S_i, …) to (N, max S, …), padded with zeros at the end, and return their lengths (N,) too."""
    lengths = torch.tensor([len(array) for array in arrays], dtype=torch.long)
    return torch.nn.utils.rnn.pad_sequence(list(arrays), batch_first=True), lengths
