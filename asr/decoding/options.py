"""Options that all prefix beam searches have."""

from __future__ import annotations

from dataclasses import dataclass

from asr.errors import InputError

MAX_BEAM = 1_000_000  # a wider one would fill the memory


@dataclass(frozen=True)
class BeamOptions:
    """Width and pruning of a prefix beam search.

    Args:
        beam: number of prefixes kept from one frame to the next, at least 1.
        nbest: number of hypotheses returned, best first, at least 1.
        max_labels: only this many of the most probable labels of a frame (of a transducer: of a frame and a prefix)
            extend prefixes; None: all labels.
        min_label_prob: only labels of at least this probability extend prefixes; from 0 to below 1.
        beam_threshold: prefixes more than this many nats below the best one are dropped; None: none are dropped. Where
            the network is confident this leaves a small part of the beam, and little work.

    Raises:
        InputError: a value is outside its range.
    """

    beam: int = 100
    nbest: int = 1
    max_labels: int | None = None
    min_label_prob: float = 0.0
    beam_threshold: float | None = None

    def __post_init__(self) -> None:
        if self.beam < 1 or self.nbest < 1 or (self.max_labels is not None and self.max_labels < 1):
            raise InputError(f"beam, nbest and max_labels must be at least 1: {self}")
        if self.beam > MAX_BEAM:
            raise InputError(f"beam={self.beam}: use at most {MAX_BEAM}")
        if not 0 <= self.min_label_prob < 1:
            raise InputError(f"min_label_prob={self.min_label_prob}: use a probability from 0 to below 1")
        if self.beam_threshold is not None and not self.beam_threshold > 0:
            raise InputError(f"beam_threshold={self.beam_threshold}: use a number of nats above 0, or null")
