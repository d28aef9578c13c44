"""A neural model of labels in the CTC beam search: asked once for each new prefix, the whole beam in one batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from asr.decoding.label.scorer import LabelScorer
from asr.errors import InputError


class JoiningScorer(LabelScorer, Protocol):
    """A scorer whose states can be put together."""

    def join(self, states: Sequence[Any]) -> Any:
        """One state of the rows of several, in their order."""


@dataclass(frozen=True)
class NeuralModel:
    """A scorer of the same labels as the search's, which knows where a sequence begins and ends.

    A label adds ``weight`` times its natural-log probability, plus ``bonus``; the end adds its own without a bonus.
    What the scorer says of blank is not used.
    """

    scorer: JoiningScorer
    bos: int
    eos: int
    weight: float = 0.3
    bonus: float = 0.0


class Beliefs:
    """What a neural model says of the prefixes in the beam of one search, and its state after each.

    ``table`` (entries, V) float32 holds the natural logs of the labels that may follow.
    """

    @torch.inference_mode()
    def __init__(self, model: NeuralModel, labels: int) -> None:
        self.scorer = model.scorer
        self.eos = model.eos
        first = torch.tensor([model.bos], device=self.scorer.device)
        self._tell(*self.scorer.step(self.scorer.start(1), first))
        if self.table.shape[1] < labels or not 0 <= model.eos < self.table.shape[1]:
            raise InputError(f"the neural model knows {self.table.shape[1]} labels, the search has {labels}")

    @torch.inference_mode()
    def follow(self, before: np.ndarray, after: np.ndarray, parent: np.ndarray, label: np.ndarray) -> None:
        """Keep up with the beam: prefixes ``before`` a frame and ``after`` it, by number.

        ``parent`` and ``label`` (prefixes,) say of each prefix what it extends, and by what. What is new in the beam
        extends what was in it before.
        """
        if np.array_equal(before, after):
            return
        slot = np.full(len(parent), -1)
        slot[before] = np.arange(len(before))
        old = slot[after]
        new = after[old < 0]
        rows = self._rows(old[old >= 0])
        table, state = self._table[rows], self.scorer.select(self._state, rows)
        if len(new):
            labels = torch.from_numpy(label[new].astype(np.int64)).to(self.scorer.device)
            begun = self.scorer.select(self._state, self._rows(slot[parent[new]]))
            said, then = self.scorer.step(begun, labels)
            order = np.empty(len(after), dtype=np.int64)
            order[np.r_[np.flatnonzero(old >= 0), np.flatnonzero(old < 0)]] = np.arange(len(after))
            rows = self._rows(order)
            table = torch.cat([table, said.to(table)])[rows]
            state = self.scorer.select(self.scorer.join([state, then]), rows)
        self._tell(table, state)

    def _rows(self, rows: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(rows.astype(np.int64)).to(self.scorer.device)

    def _tell(self, table: torch.Tensor, state: Any) -> None:
        self._table, self._state = table.float(), state
        self.table = np.ascontiguousarray(self._table.cpu().numpy())

    def ends(self) -> np.ndarray:
        """Natural log of the end after each entry (entries,)."""
        found: np.ndarray = self.table[:, self.eos]
        return found
