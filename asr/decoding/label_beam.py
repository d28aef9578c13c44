"""Label-synchronous beam search and sampling, for everything that says which label comes next.

A captioner, an attention decoder, a language model or several of them are one `LabelScorer` each; the searches see no
more of them. Batched over utterances and beam.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from asr.decoding.hypothesis import Hypothesis
from asr.errors import InputError


class LabelScorer(Protocol):
    """A model that scores the next label. A state is its memory of so many label sequences, one a row."""

    @property
    def device(self) -> torch.device:
        """Where labels are wanted."""

    def start(self, rows: int) -> Any:
        """The state of so many empty sequences: of what a batch consists, one after another."""

    def step(self, state: Any, labels: Tensor) -> tuple[Tensor, Any]:
        """Natural-log probabilities (R, V) of the label that follows, after ``labels`` (R,), and the state then."""

    def select(self, state: Any, rows: Tensor) -> Any:
        """The state of some rows (Q,), in that order; a row may occur more than once."""


class AttentiveScorer(LabelScorer, Protocol):
    """A scorer that knows what it has attended to."""

    def attention(self, state: Any) -> Tensor:
        """The sum (R, S) of the attention that each place of the input got so far; 1 for padding."""


@dataclass(frozen=True)
class Options:
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


def changed(options: Options, changes: Mapping[str, Any]) -> Options:
    """The same but for some fields. Raises InputError for one that there is not, and a value that is none."""
    names = [field.name for field in fields(Options)]
    if unknown := [name for name in changes if name not in names]:
        raise InputError(f"the search has no option {', '.join(unknown)}; it has {', '.join(names)}")
    try:
        return replace(options, **changes)
    except TypeError as error:
        raise InputError(f"options of the search {dict(changes)}: {error}") from error


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
    scorer: LabelScorer, rows: int, bos: int, eos: int, options: Options | None = None
) -> list[list[Hypothesis]]:
    """The n best label sequences of each of so many utterances, without ``bos`` and ``eos``.

    A sequence that has ended stays in the beam as long as it is among the best; the search is over when the whole beam
    has ended. So a beam that holds all sequences is exact, and one of 1 is greedy search. The confidence of a label is
    its probability; there are no frames.
    """
    options = options or Options()
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


def _penalty(scorer: Any, state: Any, options: Options) -> Tensor:
    """What is missing in what each row (R,) has attended to."""
    return options.coverage * scorer.attention(state).float().clamp(1e-6, 1).log().sum(1)


def _extended(
    beams: _Beams,
    log_probs: Tensor,
    penalty: Tensor,
    row_of: Tensor,
    eos: int,
    length: int,
    options: Options,
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


def ranking(score: Tensor, length: Tensor, penalty: Tensor, options: Options) -> Tensor:
    """What sequences of so many labels (the end included) and log-probability are compared by."""
    if options.normalization:
        score = score / ((5 + length) / 6) ** options.normalization
    return score + options.bonus * length + penalty


def _hypotheses(beams: _Beams, row: int, options: Options) -> list[Hypothesis]:
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


class Together:
    """Several scorers as one: the weighted sum of their natural logs (shallow fusion).

    The weights of an ensemble are 1 / n, then it is the geometric mean of what they say, up to a constant.
    """

    def __init__(self, scorers: Sequence[LabelScorer], weights: Sequence[float] | None = None) -> None:
        if not scorers:
            raise InputError("there is no model to search by")
        self.scorers = list(scorers)
        self.weights = [1 / len(scorers)] * len(scorers) if weights is None else list(weights)
        if len(self.weights) != len(self.scorers):
            raise InputError(f"{len(self.weights)} weights for {len(self.scorers)} models")

    @property
    def device(self) -> torch.device:
        return self.scorers[0].device

    def start(self, rows: int) -> list[Any]:
        return [scorer.start(rows) for scorer in self.scorers]

    def step(self, state: list[Any], labels: Tensor) -> tuple[Tensor, list[Any]]:
        found = [scorer.step(own, labels) for scorer, own in zip(self.scorers, state, strict=True)]
        total = sum(weight * log_probs for weight, (log_probs, _) in zip(self.weights, found, strict=True))
        assert isinstance(total, Tensor)
        return total, [own for _, own in found]

    def select(self, state: list[Any], rows: Tensor) -> list[Any]:
        return [scorer.select(own, rows) for scorer, own in zip(self.scorers, state, strict=True)]
