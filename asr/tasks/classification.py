"""Classify utterances: one class for each, such as a word of a small vocabulary (many-to-one)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asr.data.batch import SpeechBatch
from asr.errors import InputError
from asr.features import Extractor
from asr.modules.cells.initialization import initialize_feedforward
from asr.modules.dropout import Dropout
from asr.modules.encoder import Encoder
from asr.modules.pooling import Pooling
from asr.tasks._builders import build_task
from asr.tasks.base import Loss, Validation
from asr.tasks.speech_frontend import SpeechTask, build_speech_frontend
from asr.text.vocabulary import Vocabulary


class ClassificationTask(SpeechTask):
    """Features, augmentation (in training), encoder, pooling over time, dropout, a linear layer of the classes.

    The loss is cross entropy.

    Args:
        features: feature extractor.
        encoder: of its features.
        vocabularies: one, of kind "classes".
        augmentation: see `SpeechTask`; applied in this order.
        pooling: one of `asr.modules.pooling.POOLINGS`.
        dropout: probability, of the pooled vector, in training.
        label_smoothing: share of the target probability that is spread evenly over all classes, in the training loss
            only (Szegedy et al. 2016, arXiv 1512.00567, section 7); 0 to below 1.

    Raises:
        InputError: there is not exactly one vocabulary of kind "classes", or an option is out of range.
    """

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
        super().__init__(features, encoder, vocabularies, augmentation)
        if [vocabulary.kind for vocabulary in vocabularies.values()] != ["classes"]:
            kinds = ", ".join(vocabulary.kind for vocabulary in vocabularies.values())
            raise InputError(f"a classifier has one head, of kind classes; given are heads of kind: {kinds or 'none'}")
        if not 0 <= label_smoothing < 1:
            raise InputError(f"label_smoothing={label_smoothing}: use a number from 0 to below 1")
        self.pooling = Pooling(pooling, encoder.output_size, encoder.rnn.concatenates)
        self.dropout = Dropout(dropout)
        self.heads = nn.ModuleDict({self.primary: nn.Linear(encoder.output_size, len(self.vocabulary))})
        initialize_feedforward(encoder.init, self.pooling, self.heads)
        self.label_smoothing = label_smoothing

    @classmethod
    def from_config(cls, config: Mapping[str, Any], vocabularies: Mapping[str, Vocabulary]) -> ClassificationTask:
        """Build from the groups ``task``, ``features``, ``encoder`` and ``augmentation`` of a configuration.

        Raises:
            InputError: a setting is wrong; the message names it.
        """
        return build_task(cls, config, vocabularies, **build_speech_frontend(config))

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Compute the log-probabilities (N, C) float32 of the classes.

        Args:
            inputs: (N, S) waveforms or (N, T, D) features, padded.
            lengths: (N,) samples or frames of each utterance.

        Raises:
            InputError: as `Extractor.forward`.
        """
        with torch.no_grad():
            x, lengths = self.features(inputs, lengths)  # (N, T, F)
            for augment in self.augmentation:  # the identity in evaluation
                x, lengths = augment(x, lengths)
        x, lengths = self.encoder(x, lengths)  # (N, T', H)
        return self.heads[self.primary](self.dropout(self.pooling(x, lengths))).float().log_softmax(-1)

    def loss(self, log_probs: Tensor, classes: Tensor) -> Tensor:
        """Return the mean cross entropy in nats per utterance, with label smoothing in training mode only.

        Args:
            log_probs: (N, C), from `forward`.
            classes: (N,) labels of the reference classes.
        """
        nats = F.nll_loss(log_probs, classes)
        return torch.lerp(nats, -log_probs.mean(), self.label_smoothing) if self.training else nats

    def training_loss(self, batch: SpeechBatch) -> Loss:
        """Compute `loss` for a batch of utterances."""
        return Loss(self.loss(self(batch.inputs, batch.lengths), batch.targets[self.primary].labels))

    def validation_step(self, batch: SpeechBatch) -> Validation:
        """Compute the cross entropy, the error rate, and the most probable class of each utterance, (N,)."""
        classes = batch.targets[self.primary].labels
        log_probs = self(batch.inputs, batch.lengths)
        predictions = log_probs.argmax(-1)
        size = len(classes)
        error = (predictions != classes).float().mean()
        return Validation({"dev_loss": (self.loss(log_probs, classes), size), "dev_error": (error, size)}, predictions)
