"""Many vectors to one: what an encoder writes for a whole utterance."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from asr.text.normalization import check_choice
from asr.utils.masks import length_mask

POOLINGS = ("last", "mean", "attention")


class Pooling(nn.Module):
    """One vector of each utterance: ``(N, T, H)``, zero behind each length, and ``(N,)`` to ``(N, H)``.

    "last" takes the last output of each direction: of the forward one (the first half of H, if the encoder is
    ``bidirectional``) at the utterance's own end, of the backward one at its first frame. "mean" is that over the
    utterance's frames, "attention" a mean weighted by the softmax over them of a learned score of each (Lin et al.
    2017, arXiv 1703.03130, equation 5 with one hop and without its hidden layer).
    """

    def __init__(self, kind: str, size: int, bidirectional: bool) -> None:
        super().__init__()
        check_choice("pooling", kind, POOLINGS)
        self.kind = kind
        self.forwards = size // 2 if bidirectional else size  # what the forward direction writes
        if kind == "attention":
            self.score = nn.Linear(size, 1, bias=False)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        lengths = lengths.to(x.device)
        if self.kind == "last":
            ends = x[torch.arange(len(x), device=x.device), lengths - 1]
            return torch.cat([ends[:, : self.forwards], x[:, 0, self.forwards :]], -1)
        if self.kind == "mean":
            return x.sum(1) / lengths[:, None]
        scores = self.score(x)[..., 0].float()  # (N, T)
        weights = scores.masked_fill(~length_mask(lengths, x.shape[1]), -torch.inf).softmax(1).to(x.dtype)
        return (weights[..., None] * x).sum(1)
