"""Output layer and loss of connectionist temporal classification (CTC; Graves et al. 2006)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asr.errors import InputError
from asr.utils.masks import length_mask


class CTCHead(nn.Linear):
    """Map encoder outputs ``(…, H)`` to log-probabilities ``(…, V)`` of the labels, in float32.

    CTC is content with a label on one frame and blanks on all others, wherever that frame is. With a ``blank_penalty``
    above zero, labels last as long as they are spoken, so that their times are better. (It is the part of Huang et al.
    2024, Less peaky and more accurate CTC forced alignment by label priors, arXiv 2406.02560, that concerns the blank.
    With priors of all labels a rare label costs the network more than the space, which then spreads over silence:
    measured in benchmarks/README.md.)

    Args:
        inputs: size H of an encoder output.
        labels: number V of labels, the blank included.
        blank: index of the blank.
        blank_penalty: cost of a blank in nats per frame, in training as in use; 0 is off.

    Raises:
        InputError: the penalty is negative or not finite.
    """

    def __init__(self, inputs: int, labels: int, blank: int = 0, *, blank_penalty: float = 0.0) -> None:
        super().__init__(inputs, labels)
        if not 0 <= blank_penalty < math.inf:
            raise InputError(f"blank_penalty={blank_penalty}: use 0 or a positive number of nats per frame")
        self.blank = blank
        self.blank_penalty = blank_penalty

    def forward(self, x: Tensor) -> Tensor:
        """Return log-probabilities ``(…, V)`` float32 of encoder outputs ``x`` (…, H); see the class."""
        logits = super().forward(x).float()
        return (logits - self._penalty(logits) if self.blank_penalty else logits).log_softmax(-1)

    def _penalty(self, scores: Tensor) -> Tensor:
        """Return the cost of each label (V,) in nats per frame."""
        costs = scores.new_zeros(scores.shape[-1])
        costs[self.blank] = self.blank_penalty
        return costs

    def loss(
        self,
        scores: Tensor,
        lengths: Tensor,
        labels: Tensor,
        label_lengths: Tensor,
        *,
        rows: Tensor,
        frames_needed: Tensor,
    ) -> tuple[Tensor, int]:
        """Compute the negative log-likelihood per label, summed over all alignments (Graves et al. 2006, equation 12).

        Utterances with too few frames for their labels have no finite loss: they add nothing and are counted. Blanks
        of an alignment cost their penalty.

        Args:
            scores: log-probabilities from `forward`, ``(N, T, V)``.
            lengths: frames of each utterance, ``(N,)``.
            labels: the M label sequences end to end, ``(sum of label_lengths,)``.
            label_lengths: labels of each sequence, ``(M,)``, on the CPU.
            rows: index into the batch of each sequence's utterance, ``(M,)``; some utterances may have none.
            frames_needed: fewest frames in which CTC can emit each sequence, ``(M,)``, on the CPU.

        Returns:
            The loss in nats per label (scalar), and the number of sequences left out.
        """
        frames = lengths[rows].cpu()
        possible = frames >= frames_needed
        chosen = scores[rows]  # (M, T, V)
        nll = F.ctc_loss(
            chosen.transpose(0, 1),  # (T, M, V)
            labels,
            frames,
            label_lengths,
            blank=self.blank,
            reduction="sum",
            zero_infinity=True,
        )
        if self.blank_penalty:
            # `forward` normalized each frame after the penalty; that factor has to be taken out again, frame by frame.
            # (Scores that do not sum to one would not do: torch's gradient of its CTC loss assumes a softmax below.)
            counted = length_mask(torch.where(possible, frames, 0), chosen.shape[1])  # (M, T)
            nll = nll + (chosen + self._penalty(chosen)).logsumexp(-1)[counted.to(chosen.device)].sum()
        return nll / label_lengths.sum().clamp(min=1), int((~possible).sum())

    def divergence(self, scores: Tensor, lengths: Tensor, label_lengths: Tensor) -> Tensor:
        """Compute the Kullback-Leibler divergence of each of two views from the other, in nats per label.

        This is the consistency loss of CR-CTC (Yao et al. 2025, arXiv 2410.05101). Each view is drawn towards the
        other as that now is (no gradient). Utterances without labels count too.

        Args:
            scores: log-probabilities ``(2 N, T, V)``; rows n and N + n are the views of one utterance.
            lengths: frames of each view, ``(2 N,)``, the same for both views of an utterance.
            label_lengths: labels of each label sequence of both views, ``(M,)``.

        Returns:
            Scalar.
        """
        other = scores.detach().roll(len(scores) // 2, 0)
        mask = length_mask(lengths.to(scores.device), scores.shape[1])  # (2 N, T)
        nats = F.kl_div(scores, other, reduction="none", log_target=True).sum(-1)[mask].sum()
        # the mean over labelled views, scaled to all of them
        return nats / label_lengths.sum().clamp(min=1) * (len(label_lengths) / len(scores))
