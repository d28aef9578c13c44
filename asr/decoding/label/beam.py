"""Label-synchronous beam search over a `LabelScorer`, batched over inputs and beam.

A scorer is an attention decoder, a captioner, a language model, or several of them together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from asr.decoding.hypothesis import Hypothesis
from asr.decoding.label.scorer import LabelScorer
from asr.errors import InputError
from asr.utils.options import check_options


@dataclass(frozen=True)
class LabelBeamOptions:
    """Options of the label-synchronous beam search.

    Args:
        beam: number of sequences kept from one label to the next; 1 is greedy search.
        nbest: number of hypotheses returned, best first; 1 to ``beam``.
        max_length: largest number of labels of a hypothesis.
        min_length: smallest number of labels of a hypothesis.
        normalization: exponent of the length normalization: scores are divided by ((5 + L) / 6) to this power, L labels
            with the end (Wu et al. 2016, arXiv 1609.08144, equation 14). 0: none, which favors short hypotheses.
        bonus: added to the score for each label.
        coverage: weight of the coverage penalty, the sum over places of the input of the log of their total attention,
            at most 1 (same equation); for an `AttentiveScorer`.
        forbidden: labels that are never part of a hypothesis (unknown, for example).

    Raises:
        InputError: a value is outside its range.
    """

    beam: int = 5
    nbest: int = 1
    max_length: int = 100
    min_length: int = 0
    normalization: float = 0.0
    bonus: float = 0.0
    coverage: float = 0.0
    forbidden: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.beam < 1 or not 1 <= self.nbest <= self.beam:
            raise InputError(f"beam={self.beam}, nbest={self.nbest}: use nbest from 1 to beam")
        if not 0 <= self.min_length <= self.max_length:
            raise InputError(f"min_length={self.min_length}: use 0 to max_length={self.max_length}")


def replace_options(options: LabelBeamOptions, changes: Mapping[str, Any]) -> LabelBeamOptions:
    """Return the options with some fields changed.

    Raises:
        InputError: a field does not exist, or its value is of another type or out of range.
    """
    check_options("search", changes, LabelBeamOptions)
    return replace(options, **changes)


@dataclass
class _Beams:
    """The K best label sequences of each of N inputs, best first."""

    labels: Tensor  # (N, K, L) int64, the end included
    log_probs: Tensor  # (N, K, L) natural log of each label's probability
    score: Tensor  # (N, K) sum of the natural logs; -inf where there are fewer sequences
    length: Tensor  # (N, K) int64, the end included
    penalty: Tensor  # (N, K) of coverage
    ended: Tensor  # (N, K) bool


@torch.inference_mode()
def search(
    scorer: LabelScorer, rows: int, bos: int, eos: int, options: LabelBeamOptions | None = None
) -> list[list[Hypothesis]]:
    """Find the n best label sequences of each input.

    A sequence that has ended stays in the beam as long as it is among the best, and the search stops when the whole
    beam has ended. So a beam that holds all sequences is exact, and a beam of 1 is greedy search.

    Args:
        scorer: the model.
        rows: number of inputs.
        bos: label before the first one.
        eos: label that ends a sequence.
        options: see `LabelBeamOptions`.

    Returns:
        The hypotheses of each input, best first, without ``bos`` and ``eos``. The confidence of a label is its
        probability; there are no frames.

    Raises:
        InputError: coverage is asked of a scorer without attention, or no sequence has a probability above zero.
    """
    options = options or LabelBeamOptions()
    if options.coverage and not hasattr(scorer, "attention"):
        raise InputError("coverage is for models with attention: this model has none")
    device = scorer.device
    beams = _empty(rows, device)
    row_of = torch.arange(rows, device=device)[:, None]  # (N, K): the state's row of each sequence that continues
    log_probs, state = scorer.step(scorer.start(rows), torch.full((rows,), bos, device=device))
    for length in range(1, options.max_length + 2):
        penalty = _penalty(scorer, state, options) if options.coverage else log_probs.new_zeros(len(log_probs))
        beams, parents = _extend(beams, log_probs, penalty, row_of, eos, length, options)
        inputs, ranks = (~beams.ended).nonzero(as_tuple=True)
        if not len(inputs):
            break
        state = scorer.select(state, row_of[inputs, parents[inputs, ranks]])
        row_of = torch.zeros_like(beams.length)
        row_of[inputs, ranks] = torch.arange(len(inputs), device=device)
        log_probs, state = scorer.step(state, beams.labels[inputs, ranks, -1])
    return [_hypotheses(beams, n, options) for n in range(rows)]


def _empty(rows: int, device: torch.device) -> _Beams:
    """Return beams of one empty sequence for each input."""
    no_labels, zeros = torch.zeros(rows, 1, 0, device=device), torch.zeros(rows, 1, device=device)
    return _Beams(no_labels.long(), no_labels, zeros, zeros.long(), zeros, zeros.bool())


def _penalty(scorer: Any, state: Any, options: LabelBeamOptions) -> Tensor:
    """Return the coverage penalty (R,) of each row of the state."""
    return options.coverage * scorer.attention(state).float().clamp(1e-6, 1).log().sum(1)


def _extend(
    beams: _Beams,
    log_probs: Tensor,
    penalty: Tensor,
    row_of: Tensor,
    eos: int,
    length: int,
    options: LabelBeamOptions,
) -> tuple[_Beams, Tensor]:
    """Return the best sequences that are one label longer or had ended, and the rank (N, K) that each extends."""
    size = log_probs.shape[1]
    is_eos = torch.arange(size, device=log_probs.device) == eos
    added = log_probs[row_of].float()  # (N, K, V)
    added[..., list(options.forbidden)] = -torch.inf
    if length > options.max_length:
        added[..., ~is_eos] = -torch.inf
    elif length <= options.min_length:
        added[..., is_eos] = -torch.inf
    # a sequence that has ended is extended by another end, which costs nothing
    added = torch.where(beams.ended[..., None], torch.where(is_eos, 0.0, -torch.inf), added)
    penalty = torch.where(beams.ended, beams.penalty, penalty[row_of])
    scores = beams.score[..., None] + added
    lengths = beams.length + ~beams.ended
    ranked = rank_score(scores, lengths[..., None], penalty[..., None], options).flatten(1)
    best = ranked.topk(min(options.beam, ranked.shape[1])).indices  # (N, K')
    parents, labels = best // size, best % size
    score, label_log_prob = scores.flatten(1).gather(1, best), added.flatten(1).gather(1, best)
    before = parents[..., None].expand(-1, -1, beams.labels.shape[2])
    extended = _Beams(
        labels=torch.cat([beams.labels.gather(1, before), labels[..., None]], 2),
        log_probs=torch.cat([beams.log_probs.gather(1, before), label_log_prob[..., None]], 2),
        score=score,
        length=lengths.gather(1, parents),
        penalty=penalty.gather(1, parents),
        ended=(labels == eos) | (score == -torch.inf),
    )
    return extended, parents


def rank_score(score: Tensor, length: Tensor, penalty: Tensor, options: LabelBeamOptions) -> Tensor:
    """Return the score by which sequences are compared.

    Args:
        score: natural-log probabilities of the sequences.
        length: numbers of labels, the end included; the shape broadcasts to that of ``score``.
        penalty: coverage penalties, likewise.
        options: of the search.
    """
    if options.normalization:
        score = score / ((5 + length) / 6) ** options.normalization
    return score + options.bonus * length + penalty


def _hypotheses(beams: _Beams, row: int, options: LabelBeamOptions) -> list[Hypothesis]:
    """Return the n best hypotheses of an input."""
    scores = rank_score(beams.score[row], beams.length[row], beams.penalty[row], options).tolist()
    hypotheses = []
    for rank, score in enumerate(scores[: options.nbest]):
        if score > -torch.inf:
            count = int(beams.length[row, rank]) - 1
            labels = beams.labels[row, rank, :count].tolist()
            confidence = beams.log_probs[row, rank, :count].exp().tolist()
            hypotheses.append(Hypothesis(tuple(labels), score, confidence=tuple(confidence)))
    if not hypotheses:
        raise InputError(f"input {row}: the model gives no label sequence a probability above zero")
    return hypotheses
