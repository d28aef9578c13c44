"""A neural language model of labels in the CTC beam search: one step for each new prefix, all of a frame in a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from asr.decoding.label.scorer import LabelScorer
from asr.errors import InputError


class JoiningScorer(LabelScorer, Protocol):
    """A label scorer whose states can be concatenated."""

    def join(self, states: Sequence[Any]) -> Any:
        """Concatenate states along their rows."""


@dataclass(frozen=True)
class NeuralModel:
    """A label scorer over the labels of the search, to which labels for the ends of a sequence may be added.

    A label adds ``weight`` times its natural-log probability, plus ``bonus``, to the score of a hypothesis; the end of
    the sequence adds ``weight`` times its own. The scorer's probability of blank is not used.

    Args:
        scorer: the model.
        bos: label before the first one.
        eos: label after the last one.
        weight: factor of the model's natural logs.
        bonus: added for each label.
    """

    scorer: JoiningScorer
    bos: int
    eos: int
    weight: float = 0.3
    bonus: float = 0.0


class NeuralLMBeam:
    """The state of a neural model after each prefix in the beam of a search.

    Args:
        model: the model.
        labels: number of labels of the search, blank included.

    Raises:
        InputError: the model has fewer labels than the search.

    Attributes:
        log_probs: (entries, V) float32 natural logs of the labels that may follow each entry of the beam.
    """

    @torch.inference_mode()
    def __init__(self, model: NeuralModel, labels: int) -> None:
        self.scorer = model.scorer
        self.eos = model.eos
        bos = torch.tensor([model.bos], device=self.scorer.device)
        self._set(*self.scorer.step(self.scorer.start(1), bos))
        size = self.log_probs.shape[1]
        if size < labels or not 0 <= model.eos < size:
            raise InputError(f"the neural model has {size} labels, the search has {labels}")

    @torch.inference_mode()
    def update(self, before: np.ndarray, after: np.ndarray, parent: np.ndarray, label: np.ndarray) -> None:
        """Follow the beam over a frame.

        Args:
            before: (entries,) the prefixes in the beam before the frame, as nodes of the tree.
            after: (entries,) the prefixes after it; a new one is a child of a prefix that was there before.
            parent: (nodes,) the parent of each node.
            label: (nodes,) the last label of each node.
        """
        if np.array_equal(before, after):
            return
        slot = np.full(len(parent), -1)
        slot[before] = np.arange(len(before))
        is_new = slot[after] < 0
        rows = self._rows(slot[after[~is_new]])
        log_probs, state = self._log_probs[rows], self.scorer.select(self._state, rows)
        new = after[is_new]
        if len(new):
            labels = self._rows(label[new])
            parents = self.scorer.select(self._state, self._rows(slot[parent[new]]))
            new_log_probs, new_state = self.scorer.step(parents, labels)
            # the rows of old prefixes, then those of new ones, into the order of the beam
            order = np.empty(len(after), dtype=np.int64)
            order[np.r_[np.flatnonzero(~is_new), np.flatnonzero(is_new)]] = np.arange(len(after))
            rows = self._rows(order)
            log_probs = torch.cat([log_probs, new_log_probs.to(log_probs)])[rows]
            state = self.scorer.select(self.scorer.join([state, new_state]), rows)
        self._set(log_probs, state)

    def _rows(self, rows: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(rows.astype(np.int64)).to(self.scorer.device)

    def _set(self, log_probs: torch.Tensor, state: Any) -> None:
        self._log_probs, self._state = log_probs.float(), state
        self.log_probs = np.ascontiguousarray(self._log_probs.cpu().numpy())

    def end_log_probs(self) -> np.ndarray:
        """Return the natural log (entries,) of the end of the sequence after each entry."""
        log_probs: np.ndarray = self.log_probs[:, self.eos]
        return log_probs
