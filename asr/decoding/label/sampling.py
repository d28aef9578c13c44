"""Sample label sequences from a label scorer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from asr.decoding.hypothesis import Hypothesis
from asr.decoding.label.scorer import LabelScorer
from asr.errors import InputError


@dataclass(frozen=True)
class Sampling:
    """How to draw labels.

    Each is drawn from the probabilities to the power 1 / ``temperature``, of the ``top_k`` most probable labels only,
    and of the fewest that together have ``top_p`` (Holtzman et al. 2020, arXiv 1904.09751), never one of ``forbidden``.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    forbidden: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        temperature, top_k, top_p = self.temperature, self.top_k, self.top_p
        if not temperature > 0 or not 0 < top_p <= 1 or (top_k is not None and top_k < 1):
            raise InputError(f"{temperature=}, {top_p=}, {top_k=}: above 0; above 0 to 1; at least 1")

    def draw(self, log_probs: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """A label for each row of natural logs (R, V), and its natural-log probability as the model gives it, (R,)."""
        forbidden = torch.tensor(self.forbidden, dtype=torch.long)
        own = log_probs.float().cpu().index_fill(1, forbidden, -torch.inf)
        kept = truncated(own / self.temperature, self.top_k, self.top_p)
        labels = torch.multinomial(kept, 1, generator=generator)
        return labels[:, 0], own.gather(1, labels)[:, 0]


@torch.inference_mode()
def sample(
    scorer: LabelScorer,
    rows: int,
    bos: int,
    eos: int,
    options: Sampling | None = None,
    *,
    max_length: int = 100,
    generator: torch.Generator | None = None,
) -> list[Hypothesis]:
    """A random label sequence for each of so many utterances, label by label; cut off at ``max_length``.

    The score is the sequence's own natural-log probability, the end included if it has one.
    """
    options = options or Sampling()
    state = scorer.start(rows)
    labels = torch.full((rows,), bos, device=scorer.device)
    alive = torch.arange(rows)
    written: list[list[int]] = [[] for _ in range(rows)]
    confidence: list[list[float]] = [[] for _ in range(rows)]
    score = [0.0] * rows
    for _ in range(max_length):
        log_probs, state = scorer.step(state, labels)
        chosen, own = options.draw(log_probs, generator)
        for row, label, log_prob in zip(alive.tolist(), chosen.tolist(), own.tolist(), strict=True):
            score[row] += log_prob
            if label != eos:
                written[row].append(label)
                confidence[row].append(math.exp(log_prob))
        goes_on = (chosen != eos).nonzero()[:, 0]
        if not len(goes_on):
            break
        alive, labels = alive[goes_on], chosen[goes_on].to(scorer.device)
        state = scorer.select(state, goes_on.to(scorer.device))
    return [Hypothesis(tuple(w), s, confidence=tuple(c)) for w, s, c in zip(written, score, confidence, strict=True)]


def truncated(logits: Tensor, top_k: int | None = None, top_p: float = 1.0) -> Tensor:
    """Probabilities (R, V) of the ``top_k`` most probable labels, of the fewest that together have ``top_p``."""
    if top_k is None and top_p == 1:
        return logits.softmax(-1)
    values, order = logits.softmax(-1).sort(-1, descending=True)
    before = values.cumsum(-1) - values
    kept = before < top_p
    if top_k is not None:
        kept[:, top_k:] = False
    values = torch.where(kept, values, 0.0)
    return torch.zeros_like(values).scatter(-1, order, values / values.sum(-1, keepdim=True))
