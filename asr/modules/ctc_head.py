"""The output layer of connectionist temporal classification (Graves et al. 2006), and its loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asr.data.batch import Targets
from asr.errors import InputError
from asr.features.extractor import inside


class CTCHead(nn.Linear):
    """Encoder outputs (…, H) to log-probabilities (…, V) of labels, in float32.

    CTC is content with a label on one frame and blanks on all others, wherever that is. With a ``prior_scale`` above
    zero, probabilities are divided by that power of the labels' priors, in training as in use (Huang et al. 2024, Less
    peaky and more accurate CTC forced alignment by label priors, arXiv 2406.02560). Blank, the commonest label, is
    then dear, and labels last as long as they are heard: so times are better. 0.3 is a fair value. The priors are a
    running mean of the posteriors in training, over about 100 batches, and saved with the weights.
    """

    prior: Tensor

    def __init__(self, inputs: int, labels: int, blank: int = 0, *, prior_scale: float = 0.0) -> None:
        super().__init__(inputs, labels)
        if not 0 <= prior_scale < 1:
            raise InputError(f"prior_scale={prior_scale}: use a number from 0 to below 1")
        self.blank = blank
        self.prior_scale = prior_scale
        if prior_scale:
            self.register_buffer("prior", torch.full((labels,), 1 / labels))

    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x).float()
        return (logits - self._discount if self.prior_scale else logits).log_softmax(-1)

    @property
    def _discount(self) -> Tensor:
        # no label is so rare that it would be had for nothing
        return self.prior_scale * self.prior.clamp(min=1e-8).log()

    def loss(self, scores: Tensor, lengths: Tensor, target: Targets) -> tuple[Tensor, int]:
        """Negative log-likelihood a label of ``scores`` (N, T, V) from `forward`; and label sequences left out.

        Utterances with too few frames for their labels have no finite loss: they add nothing and are counted. With
        priors the sum over alignments is of posteriors divided by the scaled priors, and may be below zero.
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
        if self.prior_scale:
            # What `forward` normalised away is a factor a frame. (Scores that do not sum to one would not do: the
            # gradient that torch gives for its CTC loss is right behind a softmax only.)
            counted = inside(torch.where(possible, frames, 0), chosen.shape[1])
            nll = nll + (chosen + self._discount).logsumexp(-1)[counted.to(chosen.device)].sum()
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

    @torch.no_grad()
    def observe(self, scores: Tensor, lengths: Tensor, rate: float = 0.01) -> None:
        """Let ``scores`` (N, T, V) of a training batch, lengths (N,), into the priors."""
        if self.prior_scale:
            spoken = inside(lengths.to(scores.device), scores.shape[1])
            self.prior.lerp_((scores + self._discount).softmax(-1)[spoken].mean(0), rate)
