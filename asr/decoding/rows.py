"""Searches over the utterances of a batch, on all available cores."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np

from asr.decoding.hypothesis import Hypothesis
from asr.errors import InputError
from asr.utils.threads import available_cores


class RowSearch(Protocol):
    """A search over one utterance, which can begin anew."""

    def start(self) -> None:
        """Begin a new utterance."""

    def feed(self, frames: Any) -> None:
        """Take in the next frames (T, D)."""

    def finish(self) -> list[Hypothesis]:
        """Return the n best hypotheses, best first."""


def search_rows(make_search: Callable[[], RowSearch], frames: Any, lengths: np.ndarray) -> list[list[Hypothesis]]:
    """Search the utterances of a batch.

    Args:
        make_search: makes a search; each thread has one, which keeps what it has cached from one utterance to the next.
        frames: what the search reads, an array or tensor (N, T, D).
        lengths: (N,) integers up to T.

    Returns:
        The n best hypotheses of each utterance, best first.

    Raises:
        InputError: of a search; the message names the utterance.
    """
    own = threading.local()

    def search_one(row: int) -> list[Hypothesis]:
        if not hasattr(own, "search"):
            own.search = make_search()
        search: RowSearch = own.search
        search.start()
        try:
            search.feed(frames[row, : int(lengths[row])])
            return search.finish()
        except InputError as error:
            raise InputError(f"utterance {row}: {error}") from error

    with ThreadPoolExecutor(available_cores()) as pool:
        return list(pool.map(search_one, range(len(frames))))
