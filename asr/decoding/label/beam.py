"""Label-synchronous beam search and sampling, for everything that says which label comes next.

A captioner, an attention decoder, a language model or several of them are one `LabelScorer` each; the searches see no
more of them. Batched over utterances and beam.
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
    """How to search.

    Args:
        beam: sequences kept from one label to the next; 1 is greedy search.
        nbest: hypotheses returned, best first.
        max_length: labels of a hypothesis; at the longest one its end is all that is possible.
        min_length: labels before which it cannot end.
        normalization: scores are divided by ((5 + L) / 6) to this power, L labels with the end (Wu et al. 2016, arXiv
            1609.08144, equation 14); 0: not at all, which favours short ones.
        bonus: what each label adds to the score.
        coverage: weight of the coverage penalty, the sum over places of the input of the log of the attention they got,
            at most 1 (there too); for an `AttentiveScorer`.
        forbidden: labels that are never written (unknown, say).
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
            raise InputError(f"beam={self.beam}, nbest={self.nbest}: nbest is from 1 to beam")
        if not 0 <= self.min_length <= self.max_length:
            raise InputError(f"min_length={self.min_length} is not from 0 to max_length={self.max_length}")


def replace_options(options: LabelBeamOptions, changes: Mapping[str, Any]) -> LabelBeamOptions:
    """Return options with some fields changed. Raises InputError for an unknown field and a value of another type."""
    check_options("search", changes, LabelBeamOptions)
    return replace(options, **changes)


@dataclass
class _Beams:
    """Label sequences (N, K) of N utterances, best first."""

    labels: Tensor  # (N, K, L), the end included
    log_probs: Tensor  # (N, K, L)
    score: Tensor  # (N, K): the sum of those, -inf where there is no such sequence
    length: Tensor  # (N, K)
    penalty: Tensor  # (N, K): of coverage
    ended: Tensor  # (N, K)


@torch.inference_mode()
def search(
    scorer: LabelScorer, rows: int, bos: int, eos: int, options: LabelBeamOptions | None = None
) -> list[list[Hypothesis]]:
    """The n best label sequences of each of so many utterances, without ``bos`` and ``eos``.

    A sequence that has ended stays in the beam as long as it is among the best; the search is over when the whole beam
    has ended. So a beam that holds all sequences is exact, and one of 1 is greedy search. The confidence of a label is
    its probability; there are no frames.
    """
    options = options or LabelBeamOptions()
    if options.coverage and not hasattr(scorer, "attention"):
        raise InputError("coverage is for models with attention; this one has none")
    device = scorer.device
    beams = _empty(rows, device)
    row_of = torch.arange(rows, device=device)[:, None]  # (N, K): the state's row of each sequence that goes on
    log_probs, state = scorer.step(scorer.start(rows), torch.full((rows,), bos, device=device))
    for length in range(1, options.max_length + 2):
        penalty = _penalty(scorer, state, options) if options.coverage else log_probs.new_zeros(len(log_probs))
        beams, parents = _extended(beams, log_probs, penalty, row_of, eos, length, options)
        utterances, ranks = (~beams.ended).nonzero(as_tuple=True)
        if not len(utterances):
            break
        state = scorer.select(state, row_of[utterances, parents[utterances, ranks]])
        row_of = torch.zeros_like(beams.length)
        row_of[utterances, ranks] = torch.arange(len(utterances), device=device)
        log_probs, state = scorer.step(state, beams.labels[utterances, ranks, -1])
    return [_hypotheses(beams, n, options) for n in range(rows)]


def _empty(rows: int, device: torch.device) -> _Beams:
    """One empty sequence an utterance."""
    nothing, zeros = torch.zeros(rows, 1, 0, device=device), torch.zeros(rows, 1, device=device)
    return _Beams(nothing.long(), nothing, zeros, zeros.long(), zeros, zeros.bool())


def _penalty(scorer: Any, state: Any, options: LabelBeamOptions) -> Tensor:
    """What is missing in what each row (R,) has attended to."""
    return options.coverage * scorer.attention(state).float().clamp(1e-6, 1).log().sum(1)


def _extended(
    beams: _Beams,
    log_probs: Tensor,
    penalty: Tensor,
    row_of: Tensor,
    eos: int,
    length: int,
    options: LabelBeamOptions,
) -> tuple[_Beams, Tensor]:
    """The best sequences that are one label longer, or had ended before; and which (N, K) each goes on from."""
    size = log_probs.shape[1]
    is_eos = torch.arange(size, device=log_probs.device) == eos
    added = log_probs[row_of].float()  # (N, K, V)
    added[..., list(options.forbidden)] = -torch.inf
    if length > options.max_length:
        added[..., ~is_eos] = -torch.inf
    elif length <= options.min_length:
        added[..., is_eos] = -torch.inf
    # what has ended goes on by another end that costs nothing
    added = torch.where(beams.ended[..., None], torch.where(is_eos, 0.0, -torch.inf), added)
    penalty = torch.where(beams.ended, beams.penalty, penalty[row_of])
    scores = beams.score[..., None] + added
    lengths = beams.length + ~beams.ended
    ranked = ranking(scores, lengths[..., None], penalty[..., None], options).flatten(1)
    best = ranked.topk(min(options.beam, ranked.shape[1])).indices  # (N, K')
    parents, labels = best // size, best % size
    score, own = scores.flatten(1).gather(1, best), added.flatten(1).gather(1, best)
    before = parents[..., None].expand(-1, -1, beams.labels.shape[2])
    extended = _Beams(
        labels=torch.cat([beams.labels.gather(1, before), labels[..., None]], 2),
        log_probs=torch.cat([beams.log_probs.gather(1, before), own[..., None]], 2),
        score=score,
        length=lengths.gather(1, parents),
        penalty=penalty.gather(1, parents),
        ended=(labels == eos) | (score == -torch.inf),
    )
    return extended, parents


def ranking(score: Tensor, length: Tensor, penalty: Tensor, options: LabelBeamOptions) -> Tensor:
    """What sequences of so many labels (the end included) and log-probability are compared by."""
    if options.normalization:
        score = score / ((5 + length) / 6) ** options.normalization
    return score + options.bonus * length + penalty


def _hypotheses(beams: _Beams, row: int, options: LabelBeamOptions) -> list[Hypothesis]:
    ranks = ranking(beams.score[row], beams.length[row], beams.penalty[row], options).tolist()
    found = []
    for rank, score in enumerate(ranks[: options.nbest]):
        if score > -torch.inf:
            count = int(beams.length[row, rank]) - 1
            labels = beams.labels[row, rank, :count].tolist()
            confidence = beams.log_probs[row, rank, :count].exp().tolist()
            found.append(Hypothesis(tuple(labels), score, confidence=tuple(confidence)))
    if not found:
        raise InputError(f"utterance {row}: the model gives no label sequence a probability above zero")
    return found
