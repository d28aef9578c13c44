"""Pooling: the vectors of an utterance's frames to one vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from asr.utils.masks import length_mask
from asr.utils.options import check_choice

POOLINGS = ("last", "mean", "attention")


class Pooling(nn.Module):
    """Pool encoder outputs ``(N, T, H)``, zero beyond each length, with lengths ``(N,)`` to ``(N, H)``.

    Args:
        kind: ``"last"``, the output at the utterance's end, and where the outputs of two directions are concatenated,
            that of the backward one at the first frame; ``"mean"``, the mean over the utterance's frames;
            ``"attention"``, a mean weighted by the softmax over frames of a learned linear score (Lin et al. 2017,
            arXiv 1703.03130, equation 5 with one hop and without its hidden layer).
        size: H, elements of a vector.
        concatenated: whether the second half of H are outputs of a backward direction.

    Raises:
        InputError: ``kind`` is none of the three.
    """

    def __init__(self, kind: str, size: int, concatenated: bool) -> None:
        super().__init__()
        check_choice("pooling", kind, POOLINGS)
        self.kind = kind
        self.forward_size = size // 2 if concatenated else size  # of the forward direction
        if kind == "attention":
            self.score = nn.Linear(size, 1, bias=False)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Pool over time; see the class."""
        lengths = lengths.to(x.device)
        if self.kind == "last":
            ends = x[torch.arange(len(x), device=x.device), lengths - 1]  # (N, H)
            return torch.cat([ends[:, : self.forward_size], x[:, 0, self.forward_size :]], -1)
        if self.kind == "mean":
            return x.sum(1) / lengths[:, None]
        scores = self.score(x)[..., 0].float()  # (N, T)
        weights = scores.masked_fill(~length_mask(lengths, x.shape[1]), -torch.inf).softmax(1).to(x.dtype)
        return (weights[..., None] * x).sum(1)
