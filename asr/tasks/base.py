"""The contract of a task: a network with its vocabularies, its training loss and its validation step.

Training, saving and loading know tasks by this class only, so one `asr.training.module.TrainingModule` trains them all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from asr.text.vocabulary import Vocabulary


class Batch(Protocol):
    """What a task's data loaders yield."""

    @property
    def ids(self) -> Sequence[str]:
        """Names of the examples, for error messages."""

    @property
    def amounts(self) -> Mapping[str, float]:
        """Size by unit ("utt", "audio-s", "labels"), for the speed that an epoch's line prints."""

    def to(self, device: torch.device) -> Any:
        """Return the batch on another device."""


@dataclass(frozen=True)
class Loss:
    """Training loss of one batch.

    Attributes:
        value: scalar to minimize, attached to the graph.
        logs: further numbers to log by name (mean over the epoch).
        skipped: label sequences that no output can produce and that the loss leaves out.
    """

    value: Tensor
    logs: Mapping[str, float] = field(default_factory=dict)
    skipped: int = 0


@dataclass(frozen=True)
class Validation:
    """Result of one validation batch.

    Attributes:
        means: (value, weight) by the name to log it by, "dev_loss" among them; an epoch logs the weighted mean.
        predictions: what the network predicts for the batch, as the job's scorer takes it.
    """

    means: Mapping[str, tuple[Tensor | float, int]]
    predictions: Any = None


class Task(nn.Module):
    """A network together with its vocabularies and its loss; built by `from_config`.

    Attributes:
        groups: configuration groups that the task is built from, besides ``task``.
        parts: what can start from the weights of another model, see `weights_of_part`.
        vocabularies: by head; the first one, `primary`, is what the task outputs by default.
    """

    groups: ClassVar[tuple[str, ...]]
    parts: ClassVar[tuple[str, ...]] = ()
    vocabularies: dict[str, Vocabulary]

    @classmethod
    def from_config(cls, config: Mapping[str, Any], vocabularies: Mapping[str, Vocabulary]) -> Task:
        """Build an untrained task from the groups of a configuration.

        Raises:
            InputError: a setting is wrong; the message names it.
        """
        raise NotImplementedError

    def training_loss(self, batch: Any) -> Loss:
        """Compute the training loss of a batch, regularization included."""
        raise NotImplementedError

    def validation_step(self, batch: Any) -> Validation:
        """Compute the loss and the predictions for a batch of dev data, in evaluation mode."""
        raise NotImplementedError

    def training_state(self) -> Any:
        """Return what training carries from batch to batch besides the weights, for checkpoints; None is nothing."""
        return None

    def load_training_state(self, state: Any) -> None:
        """Restore what `training_state` returned."""

    def weights_of_part(self, part: str, model: Task, where: str) -> dict[str, Tensor]:
        """Return what a part of this task takes over from another model.

        Args:
            part: one of `parts`.
            model: the other model.
            where: the setting that names it, for messages.

        Returns:
            Weights by their names in this task.

        Raises:
            InputError: a model of that kind does not have the part.
        """
        raise NotImplementedError

    @property
    def primary(self) -> str:
        """Name of the primary head: the first vocabulary."""
        return next(iter(self.vocabularies))

    @property
    def vocabulary(self) -> Vocabulary:
        """Vocabulary of the primary head."""
        return self.vocabularies[self.primary]
