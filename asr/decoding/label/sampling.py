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
    """How to draw labels from a model's probabilities.

    Args:
        temperature: probabilities are raised to the power of 1 / ``temperature``; above 0.
        top_k: draw from this many of the most probable labels only; None: from all.
        top_p: nucleus sampling (Holtzman et al. 2020, arXiv 1904.09751): draw from the smallest set of labels with at
            least this total probability; above 0 to 1.
        forbidden: labels that are never drawn.

    Raises:
        InputError: a value is outside its range.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    forbidden: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        temperature, top_k, top_p = self.temperature, self.top_k, self.top_p
        if not temperature > 0 or not 0 < top_p <= 1 or (top_k is not None and top_k < 1):
            raise InputError(
                f"{temperature=}, {top_p=}, {top_k=}: use a temperature above 0, top_p above 0 to 1, top_k at least 1"
            )

    def draw(self, log_probs: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draw a label for each row.

        Args:
            log_probs: (R, V) natural logs.
            generator: of random numbers, on the CPU.

        Returns:
            The labels (R,) int64, and their natural-log probabilities (R,) by the model, both on the CPU.
        """
        forbidden = torch.tensor(self.forbidden, dtype=torch.long)
        model_log_probs = log_probs.float().cpu().index_fill(1, forbidden, -torch.inf)
        probs = truncate(model_log_probs / self.temperature, self.top_k, self.top_p)
        labels = torch.multinomial(probs, 1, generator=generator)
        return labels[:, 0], model_log_probs.gather(1, labels)[:, 0]


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
    """Draw a label sequence for each input, label by label.

    Args:
        scorer: the model.
        rows: number of inputs.
        bos: label before the first one.
        eos: label that ends a sequence.
        options: see `Sampling`.
        max_length: sequences are cut off after this many labels.
        generator: of random numbers, on the CPU.

    Returns:
        A hypothesis for each input, without ``bos`` and ``eos``. Its score is the sequence's natural-log probability by
        the model, the end included if it has one; the confidence of a label is its probability.
    """
    options = options or Sampling()
    state = scorer.start(rows)
    labels = torch.full((rows,), bos, device=scorer.device)
    alive = torch.arange(rows)  # sequences that have not ended
    sequences: list[list[int]] = [[] for _ in range(rows)]
    confidence: list[list[float]] = [[] for _ in range(rows)]
    score = [0.0] * rows
    for _ in range(max_length):
        log_probs, state = scorer.step(state, labels)
        drawn, drawn_log_probs = options.draw(log_probs, generator)
        for row, label, log_prob in zip(alive.tolist(), drawn.tolist(), drawn_log_probs.tolist(), strict=True):
            score[row] += log_prob
            if label != eos:
                sequences[row].append(label)
                confidence[row].append(math.exp(log_prob))
        continuing = (drawn != eos).nonzero()[:, 0]
        if not len(continuing):
            break
        alive, labels = alive[continuing], drawn[continuing].to(scorer.device)
        state = scorer.select(state, continuing.to(scorer.device))
    rows_of = zip(sequences, score, confidence, strict=True)
    return [Hypothesis(tuple(labels), total, confidence=tuple(probs)) for labels, total, probs in rows_of]


def truncate(logits: Tensor, top_k: int | None = None, top_p: float = 1.0) -> Tensor:
    """Return the probabilities (R, V) of logits (R, V), 0 outside the labels that `Sampling` draws from."""
    if top_k is None and top_p == 1:
        return logits.softmax(-1)
    probs, order = logits.softmax(-1).sort(-1, descending=True)
    before = probs.cumsum(-1) - probs  # total probability of more probable labels
    kept = before < top_p
    if top_k is not None:
        kept[:, top_k:] = False
    probs = torch.where(kept, probs, 0.0)
    return torch.zeros_like(probs).scatter(-1, order, probs / probs.sum(-1, keepdim=True))
