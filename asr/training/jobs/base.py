"""The contract of a training job: what is special about training one system."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from asr.tasks.base import Task
from asr.training.module import DevScorer, NoScorer


class Job(ABC):
    """A task to train with its data, its dev figures and its model card; made from a resolved configuration.

    The constructor reads the data and raises InputError for whatever is wrong with them or with the configuration.

    Attributes:
        groups: configuration groups that the job reads, besides ``trainer``, ``optimizer``, ``data`` and the task's.
        head_options: dataclass of the options that a head has besides those of its vocabulary; None: it has none.
        task: the untrained task.
        monitor: logged dev figure that selects the best weights.
        mode: "min" or "max": where that figure is best.
    """

    groups: ClassVar[tuple[str, ...]] = ()
    head_options: ClassVar[type | None] = None
    task: Task
    monitor: str
    mode: str = "min"

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config

    def fit_statistics(self) -> None:  # noqa: B027  (a hook: most systems have no statistics)
        """Estimate what the task needs from training data before the first step, such as feature statistics."""

    def prepare_heads(self, trained: Collection[str]) -> None:  # noqa: B027  (a hook, likewise)
        """Check that each head can be trained; ``trained`` heads have the weights of another model or a checkpoint."""

    @abstractmethod
    def describe(self) -> None:
        """Log the size of the data and of the network."""

    @abstractmethod
    def loaders(self, rank: int, world: int) -> tuple[Any, Any]:
        """Return the training batches of process ``rank`` of ``world``, and the dev batches."""

    def dev_scorer(self) -> DevScorer:
        """Return a new scorer for one pass over dev data."""
        return NoScorer()

    @abstractmethod
    def training_size(self) -> dict[str, float]:
        """Return the amount of training data by unit, for the figures of the model."""

    @abstractmethod
    def figures(self) -> dict[str, Any]:
        """Score the trained task on dev and test data, log the scores and return them."""

    @abstractmethod
    def card(self, figures: Mapping[str, Any]) -> str:
        """Return the model card as Markdown."""
