"""Data loader that resumes within an epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torch.utils.data import DataLoader

from asr.data.sampler import BucketSampler

if TYPE_CHECKING:
    pass


class ResumableLoader(DataLoader[Any]):
    """A data loader over a `BucketSampler` that goes on in the middle of an epoch when a run is resumed.

    Lightning keeps what ``state_dict`` gives in its checkpoints. The dataset has a ``collate``.
    """

    def __init__(self, dataset: Any, sampler: BucketSampler, workers: int = 0) -> None:
        super().__init__(dataset, batch_sampler=sampler, collate_fn=dataset.collate, num_workers=workers)
        self.sampler_ = sampler
        self.done = 0

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        self.done = self.sampler_.skip
        for batch in super().__iter__():
            self.done += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Batches of the current epoch that have been handed out (0 when it is over)."""
        return {"done": self.done % len(self)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Skip those batches in the next epoch that is begun."""
        self.sampler_.skip = state["done"]
