"""Searches that take a recording's scores as they arrive, and the decoders that make words of them."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from asr.decoding.hypothesis import Hypothesis


class Search(Protocol):
    """A search over one recording, as its scores arrive."""

    @property
    def frames(self) -> int:
        """How many frames it has been given."""

    def feed(self, log_probs: np.ndarray) -> None:
        """Take in the next frames (T, V), natural logs."""

    def finish(self) -> list[Hypothesis]:
        """The best hypotheses, best first."""
