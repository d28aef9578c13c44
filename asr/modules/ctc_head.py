"""The output layer of connectionist temporal classification (Graves et al. 2006), and its loss."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asr.data.batch import Targets
from asr.errors import InputError
from asr.utils.masks import inside


class CTCHead(nn.Linear):
    """Encoder outputs (…, H) to log-probabilities (…, V) of labels, in float32.

    CTC is content with a label on one frame and blanks on all others, wherever that is. With a ``blank_penalty`` above
    zero a blank costs so many nats a frame, in training as in use, and labels last as long as they are heard: so times
    are better. (That is the part of Huang et al. 2024, Less peaky and more accurate CTC forced alignment by label
    priors, arXiv 2406.02560, that concerns the blank. With priors of all labels a rare one is dearer to the network
    than the space, and spreads over silence: measured in benchmarks/README.md.)
    """

    def __init__(self, inputs: int, labels: int, blank: int = 0, *, blank_penalty: float = 0.0) -> None:
        super().__init__(inputs, labels)
        if not 0 <= blank_penalty < math.inf:
            raise InputError(f"blank_penalty={blank_penalty}: use 0, or some nats")
        self.blank = blank
        self.blank_penalty = blank_penalty

    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x).float()
        return (logits - self._penalty(logits) if self.blank_penalty else logits).log_softmax(-1)

    def _penalty(self, scores: Tensor) -> Tensor:
        """What each label (V,) costs."""
        costs = scores.new_zeros(scores.shape[-1])
        costs[self.blank] = self.blank_penalty
        return costs

    def loss(self, scores: Tensor, lengths: Tensor, target: Targets) -> tuple[Tensor, int]:
        """Negative log-likelihood a label of ``scores`` (N, T, V) from `forward`; and label sequences left out.

        Utterances with too few frames for their labels have no finite loss: they add nothing and are counted. The
        blanks of an alignment cost their penalty.
        """
        frames = lengths[target.rows].cpu()
        possible = frames >= target.frames_needed
        chosen = scores[target.rows]  # (M, T, V)
        nll = F.ctc_loss(
            chosen.transpose(0, 1),
            target.labels,
            frames,
            target.lengths,
            blank=self.blank,
            reduction="sum",
            zero_infinity=True,
        )
        if self.blank_penalty:
            # What `forward` normalised away is a factor a frame. (Scores that do not sum to one would not do: the
            # gradient that torch gives for its CTC loss is right behind a softmax only.)
            counted = inside(torch.where(possible, frames, 0), chosen.shape[1])
            nll = nll + (chosen + self._penalty(chosen)).logsumexp(-1)[counted.to(chosen.device)].sum()
        return nll / target.lengths.sum().clamp(min=1), int((~possible).sum())

    def divergence(self, scores: Tensor, lengths: Tensor, target: Targets) -> Tensor:
        """How far each of two views' ``scores`` (2 N, T, V) is from the other's, in nats a label.

        Rows n and N + n are the views of one utterance, of as many frames. Each is drawn towards the other as that now
        is (no gradient), which is the consistency loss of CR-CTC (Yao et al. 2025, arXiv 2410.05101).
        Utterances without labels count too; ``target``, of both views, says how many labels others have.
        """
        other = scores.detach().roll(len(scores) // 2, 0)
        spoken = inside(lengths.to(scores.device), scores.shape[1])
        nats = F.kl_div(scores, other, reduction="none", log_target=True).sum(-1)[spoken].sum()
        return nats / target.lengths.sum().clamp(min=1) * (len(target.rows) / len(scores))
