"""Many-to-one: which of a few classes an utterance belongs to, such as which word of a small vocabulary it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asr.data.batch import SpeechBatch
from asr.errors import InputError
from asr.features import Extractor
from asr.features.cmvn import Statistics
from asr.modules.dropout import Dropout
from asr.modules.encoder import Encoder
from asr.modules.pooling import Pooling
from asr.registry import build
from asr.tasks.base import Loss, Task, Validation
from asr.tasks.speech_frontend import front
from asr.text.vocabulary import Vocabulary


class ClassificationTask(Task):
    """Features, augmentation (in training), encoder, pooling over time, dropout, one linear layer of classes.

    ``vocabularies`` holds one, of kind "classes". ``pooling`` is one of `asr.modules.pooling.POOLINGS`; the loss is
    cross entropy with ``label_smoothing`` (Szegedy et al. 2016, arXiv 1512.00567, section 7).
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
        augmentation: Sequence[nn.Module] = (),
        pooling: str = "mean",
        dropout: float = 0.0,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        if [vocabulary.kind for vocabulary in vocabularies.values()] != ["classes"]:
            kinds = ", ".join(vocabulary.kind for vocabulary in vocabularies.values())
            raise InputError(f"a classifier has one head, of kind classes (these are: {kinds or 'none'})")
        if not 0 <= label_smoothing < 1:
            raise InputError(f"label_smoothing={label_smoothing}: use a number from 0 to below 1")
        self.vocabularies = dict(vocabularies)
        self.features = features
        self.augmentation = nn.ModuleList(augmentation)
        self.encoder = encoder
        self.pooling = Pooling(pooling, encoder.output_size, encoder.bidirectional)
        self.dropout = Dropout(dropout)
        self.heads = nn.ModuleDict({self.primary: nn.Linear(encoder.output_size, len(self.vocabulary))})
        self.label_smoothing = label_smoothing

    @classmethod
    def from_config(cls, config: Mapping[str, Any], vocabularies: Mapping[str, Vocabulary]) -> ClassificationTask:
        """Build from the groups ``features``, ``encoder``, ``augmentation`` and ``task`` of a configuration."""
        options = {option: value for option, value in config["task"].items() if option != "heads"}
        return build({"classification": cls}, options, "task", vocabularies=vocabularies, **front(config))

    def forward(self, inputs: Tensor, lengths: Tensor, statistics: Sequence[Statistics | None] | None = None) -> Tensor:
        """Log-probabilities (N, C), float32, of the classes.

        ``statistics``: of the recordings that the inputs are parts of, see `Extractor.forward`.
        """
        with torch.no_grad():
            x, lengths = self.features(inputs, lengths, statistics)
            for augment in self.augmentation:  # the identity in evaluation
                x, lengths = augment(x, lengths)
        x, lengths = self.encoder(x, lengths)
        return self.heads[self.primary](self.dropout(self.pooling(x, lengths))).float().log_softmax(-1)

    def loss(self, log_probs: Tensor, classes: Tensor) -> Tensor:
        """Return the mean cross entropy in nats per utterance, with label smoothing in training mode only.

        Args:
            log_probs: (N, C), from `forward`.
            classes: (N,) labels of the right classes.
        """
        nats = F.nll_loss(log_probs, classes)
        return torch.lerp(nats, -log_probs.mean(), self.label_smoothing) if self.training else nats

    def training_loss(self, batch: SpeechBatch) -> Loss:
        """Compute `loss` for a batch of utterances."""
        return Loss(self.loss(self(batch.inputs, batch.lengths), batch.targets[self.primary].labels))

    def validation_step(self, batch: SpeechBatch) -> Validation:
        """Compute the cross entropy, the error rate and the most probable class (N,) of each utterance."""
        classes = batch.targets[self.primary].labels
        log_probs = self(batch.inputs, batch.lengths)
        predictions = log_probs.argmax(-1)
        size = len(classes)
        error = (predictions != classes).float().mean()
        return Validation({"dev_loss": (self.loss(log_probs, classes), size), "dev_error": (error, size)}, predictions)
