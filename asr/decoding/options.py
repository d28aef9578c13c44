"""Options that all prefix beam searches have."""

from __future__ import annotations

from dataclasses import dataclass

from asr.errors import InputError
from asr.utils.options import is_number, is_whole

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
        for name in ("beam", "nbest", "max_labels"):
            value = getattr(self, name)
            is_optional = name == "max_labels"
            if not (is_whole(value) and value >= 1) and not (is_optional and value is None):
                raise InputError(f"{name}={value!r}: use a whole number of at least 1" + ", or null" * is_optional)
        if self.beam > MAX_BEAM:
            raise InputError(f"beam={self.beam}: use at most {MAX_BEAM}")
        if not (is_number(self.min_label_prob) and 0 <= self.min_label_prob < 1):
            raise InputError(f"min_label_prob={self.min_label_prob!r}: use a probability from 0 to below 1")
        threshold = self.beam_threshold
        if threshold is not None and not (is_number(threshold) and threshold > 0):
            raise InputError(f"beam_threshold={threshold!r}: use a number of nats above 0, or null")
