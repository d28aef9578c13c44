"""Options of the CTC prefix beam search."""

from __future__ import annotations

from dataclasses import dataclass

from asr.decoding.options import BeamOptions
from asr.utils.options import check_choice

SCORES = ("log_probs", "probs", "logits")

# former names of options in configurations and model directories: see `asr.utils.aliases.rename_keys`
OPTION_ALIASES = {"most_labels": "max_labels", "least": "min_label_prob", "behind": "beam_threshold"}


@dataclass(frozen=True)
class CTCBeamOptions(BeamOptions):
    """Options of the CTC prefix beam search.

    Args:
        beam: see `BeamOptions`.
        nbest: see `BeamOptions`.
        max_labels: see `BeamOptions`.
        min_label_prob: see `BeamOptions`.
        beam_threshold: see `BeamOptions`.
        scores: kind of the scores that are searched: ``"log_probs"`` (natural logs), ``"probs"``, or ``"logits"``,
            which are normalized first.

    Raises:
        InputError: a value is outside its range.
    """

    scores: str = "log_probs"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("scores", self.scores, SCORES)
