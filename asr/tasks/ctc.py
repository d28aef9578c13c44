"""Connectionist temporal classification (Graves et al. 2006): speech recognition without an alignment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from asr.data.batch import SpeechBatch, Targets
from asr.decoding.ctc import greedy
from asr.decoding.hypothesis import Hypothesis
from asr.errors import InputError
from asr.features import Extractor
from asr.features.cmvn import Statistics
from asr.modules.ctc_head import CTCHead
from asr.modules.encoder import Encoder
from asr.registry import build
from asr.tasks.base import Loss, Task, Validation
from asr.tasks.speech_frontend import front
from asr.text.vocabulary import Vocabulary


class CTCTask(Task):
    """Features, augmentation (in training), encoder, and one linear layer of labels a head.

    Several heads share one encoder: characters and phones, say. The first is the one that writes text when nothing
    else is asked for. ``weights`` are the heads' shares in the loss, ``blank_penalties`` those of
    `CTCHead`.

    Self-conditioning (Nozaki & Komatsu 2021, arXiv 2104.02724): the outputs of the layers named in ``self_condition``
    (1 is the lowest; the last is not one of them) are scored by the same heads, and the posteriors, through a linear
    layer, are added to what the next layer reads. So the upper layers know what labels the lower ones hear around a
    frame, though the labels of CTC are independent of each other given the input. In training the mean loss of those
    layers takes the share ``self_condition_weight`` of the whole.

    With a ``consistency`` above zero a training batch is read twice, as two views that differ by their masks and
    dropout but not by their timing, and that times the divergence of each view's scores from the other's joins the loss
    (Yao et al. 2025, CR-CTC, arXiv 2410.05101, section 3, where it is 0.2). It takes twice the work a batch.
    """

    groups = ("features", "encoder")  # of a configuration, besides its own

    features: Extractor
    encoder: Encoder

    def __init__(
        self,
        features: Extractor,
        encoder: Encoder,
        vocabularies: Mapping[str, Vocabulary],
        *,
        weights: Mapping[str, float] | None = None,
        augmentation: Sequence[nn.Module] = (),
        self_condition: Sequence[int] = (),
        self_condition_weight: float = 0.5,
        blank_penalties: Mapping[str, float] | None = None,
        consistency: float = 0.0,
    ) -> None:
        super().__init__()
        if not vocabularies:
            raise InputError("a CTC task needs at least one head")
        if any(not 0 < layer < encoder.num_layers for layer in self_condition):
            raise InputError(
                f"self_condition={list(self_condition)}: use layers from 1 to {encoder.num_layers - 1}, "
                f"below the last of the encoder's {encoder.num_layers}"
            )
        if not 0 <= self_condition_weight < 1:
            raise InputError(f"self_condition_weight={self_condition_weight}: use a number from 0 to below 1")
        if not consistency >= 0:
            raise InputError(f"consistency={consistency}: use 0, or the weight of the views' divergence")
        self.features = features
        self.augmentation = nn.ModuleList(augmentation)
        self.encoder = encoder
        self.vocabularies = dict(vocabularies)
        self.weights = dict.fromkeys(vocabularies, 1.0) | dict(weights or {})
        penalties = dict.fromkeys(vocabularies, 0.0) | dict(blank_penalties or {})
        self.heads = nn.ModuleDict(
            {
                head: CTCHead(encoder.output_size, len(v), v.blank, blank_penalty=penalties[head])
                for head, v in self.vocabularies.items()
            }
        )
        self.self_condition = frozenset(self_condition)
        self.self_condition_weight = self_condition_weight
        self.consistency = consistency
        if self.self_condition:
            self.feedback = nn.ModuleDict(
                {head: nn.Linear(len(v), encoder.output_size, bias=False) for head, v in self.vocabularies.items()}
            )

    @classmethod
    def from_config(cls, config: Mapping[str, Any], vocabularies: Mapping[str, Vocabulary]) -> CTCTask:
        """Build from the groups ``features``, ``encoder``, ``augmentation`` and ``task`` of a configuration."""
        heads = config["task"]["heads"]
        return build(
            {"ctc": cls},
            {option: value for option, value in config["task"].items() if option != "heads"},
            "task",
            vocabularies=vocabularies,
            weights={head: options.get("weight", 1.0) for head, options in heads.items()},
            blank_penalties={head: options.get("blank_penalty", 0.0) for head, options in heads.items()},
            **front(config),
        )

    @property
    def timing(self) -> str:
        """Name of the head whose labels have the best times: the first with a blank penalty, or else the primary."""
        return next((head for head in self.vocabularies if self._head(head).blank_penalty), self.primary)

    @property
    def _views(self) -> int:
        """How often the training loss reads each utterance."""
        return 2 if self.consistency and self.training else 1

    @property
    def frame_seconds(self) -> float:
        """Seconds from one frame of scores to the next."""
        return self.features.frame_seconds * self.encoder.stride

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Frames of scores for inputs of so many samples (or feature frames), both (N,)."""
        return self.encoder.output_lengths(self.features.output_lengths(lengths))

    def encode(
        self, inputs: Tensor, lengths: Tensor, statistics: Sequence[Statistics | None] | None = None, views: int = 1
    ) -> tuple[Tensor, Tensor, list[dict[str, Tensor]]]:
        """Encoder outputs (N, T', H), their lengths (N,), and all heads' scores of each self-conditioning layer.

        With two ``views`` the 2 N rows are the first one of each utterance, and then the second.
        """
        with torch.no_grad():
            x, lengths = self.features(inputs, lengths, statistics)
            if self.training:
                x, lengths = self._augmented(x, lengths, views)
        if not self.self_condition:
            return *self.encoder(x, lengths), []
        lower: list[dict[str, Tensor]] = []

        def condition(layer: int, y: Tensor) -> Tensor:  # (T', N, H)
            if layer in self.self_condition:
                scores = self._scores(y, self.vocabularies)
                lower.append({head: log_probs.transpose(0, 1) for head, log_probs in scores.items()})
                for head, log_probs in scores.items():
                    y = y + self.feedback[head](log_probs.exp().to(y.dtype))
            return y

        return *self.encoder(x, lengths, condition), lower

    def _augmented(self, x: Tensor, lengths: Tensor, views: int) -> tuple[Tensor, Tensor]:
        for augment in self.augmentation:
            if augment.changes_time:
                x, lengths = augment(x, lengths)
        if views > 1:  # whose frames correspond, as their time is the same
            x, lengths = x.repeat(views, 1, 1), lengths.repeat(views)
        for augment in self.augmentation:
            if not augment.changes_time:
                x, lengths = augment(x, lengths)
        return x, lengths

    def _scores(self, x: Tensor, heads: Iterable[str]) -> dict[str, Tensor]:
        return {head: self.heads[head](x) for head in heads}

    def forward(
        self,
        inputs: Tensor,
        lengths: Tensor,
        heads: Sequence[str] | None = None,
        statistics: Sequence[Statistics | None] | None = None,
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Log-probabilities (N, T', V) of each head asked for (all by default), float32, and lengths (N,).

        ``statistics``: of the recordings that the inputs are parts of, see `Extractor.forward`.
        """
        x, lengths, _ = self.encode(inputs, lengths, statistics)
        return self._scores(x, heads or self.vocabularies), lengths

    def training_loss(self, batch: SpeechBatch) -> Loss:
        """Compute `loss` with the losses of the self-conditioning layers and the divergence of the views."""
        views = self._views
        x, lengths, lower = self.encode(batch.inputs, batch.lengths, views=views)
        targets = {head: target.repeat(views, len(batch.inputs)) for head, target in batch.targets.items()}
        scores = self._scores(x, self.vocabularies)
        loss, impossible = self._loss_of_views(scores, lengths, targets)
        if lower:
            below = torch.stack([self._loss_of_views(scores, lengths, targets)[0] for scores in lower]).mean()
            loss = torch.lerp(loss, below, self.self_condition_weight)
        return Loss(loss, skipped=impossible // views)

    def validation_step(self, batch: SpeechBatch) -> Validation:
        """Compute the loss, the blank rate of the primary head, and the best path of each head."""
        scores, lengths = self(batch.inputs, batch.lengths)
        loss, _ = self.loss(scores, lengths, batch.targets)
        log_probs = scores[self.primary].detach().cpu().numpy()
        blank, frames = greedy.blank_rate(log_probs, lengths.cpu().numpy(), self.vocabulary.blank)
        means: dict[str, tuple[Tensor | float, int]] = {
            "dev_loss": (loss, len(batch.ids)),
            "blank_rate": (blank / max(frames, 1), frames),
        }
        return Validation(means, self.hypotheses(scores, lengths))

    def _loss_of_views(
        self, scores: Mapping[str, Tensor], lengths: Tensor, targets: Mapping[str, Targets]
    ) -> tuple[Tensor, int]:
        loss, impossible = self.loss(scores, lengths, targets)
        if self._views > 1:
            for head, target in targets.items():
                if len(target.rows):
                    divergence = self._head(head).divergence(scores[head], lengths, target.lengths)
                    loss = loss + self.consistency * self.weights[head] * divergence
        return loss, impossible

    def loss(self, scores: Mapping[str, Tensor], lengths: Tensor, targets: Mapping[str, Targets]) -> tuple[Tensor, int]:
        """`CTCHead.loss` of what `forward` gave, weighted over heads; and label sequences left out."""
        total = lengths.new_zeros((), dtype=torch.float32)
        impossible = 0
        for head, target in targets.items():
            if len(target.rows):
                nll, left_out = self._head(head).loss(
                    scores[head],
                    lengths,
                    target.labels,
                    target.lengths,
                    rows=target.rows,
                    frames_needed=target.frames_needed,
                )
                total = total + self.weights[head] * nll
                impossible += left_out
        return total, impossible

    def _head(self, name: str) -> CTCHead:
        return cast(CTCHead, self.heads[name])

    def hypotheses(self, scores: Mapping[str, Tensor], lengths: Tensor) -> dict[str, list[Hypothesis]]:
        """Best hypothesis of each utterance and head, from what `forward` gave."""
        frames = lengths.cpu().numpy()
        return {
            head: greedy.search(log_probs.detach().cpu().numpy(), frames, self.vocabularies[head].blank)
            for head, log_probs in scores.items()
        }
