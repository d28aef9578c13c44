"""Data loader that resumes within an epoch."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

from asr.data.sampler import BucketSampler

log = logging.getLogger(__name__)

# Worker processes hand batches over in shared memory; where it is full they wait for ever.
SHARED_MEMORY = Path("/dev/shm")
MIN_SHARED_BYTES = 32 * 2**20


def usable_workers(workers: int) -> int:
    """Return the number of worker processes, or 0 with a warning where there is too little shared memory for any."""
    if workers and SHARED_MEMORY.is_dir() and (free := shutil.disk_usage(SHARED_MEMORY).free) < MIN_SHARED_BYTES:
        log.warning(
            "data.workers=%d: not used, as %s has %.1f MB free and %.0f MB are needed",
            workers,
            SHARED_MEMORY,
            free / 2**20,
            MIN_SHARED_BYTES / 2**20,
        )
        return 0
    return workers


class ResumableLoader(DataLoader[Any]):
    """A data loader over a `BucketSampler` that continues in the middle of an epoch when a run is resumed.

    Lightning keeps what ``state_dict`` returns in its checkpoints.

    Args:
        dataset: a dataset with a method ``collate``.
        sampler: gives the indices of each batch.
        workers: number of worker processes; 0 reads in this one.
    """

    def __init__(self, dataset: Any, sampler: BucketSampler, workers: int = 0) -> None:
        super().__init__(dataset, batch_sampler=sampler, collate_fn=dataset.collate, num_workers=workers)
        self.bucket_sampler = sampler
        self.done = 0

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        self.done = self.bucket_sampler.skip
        for batch in super().__iter__():
            self.done += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Return the number of batches that the current epoch has handed out (0 when it is over)."""
        return {"done": self.done % len(self)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Skip those batches in the next epoch."""
        self.bucket_sampler.skip = state["done"]
