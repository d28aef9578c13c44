"""How long-running functions report progress: they open a bar and advance it; the command line draws it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

Advance = Callable[[float], None]
Progress = Callable[[float, str], AbstractContextManager[Advance]]
"""Opens a bar for a total of seconds of audio and a verb ("transcribing"); advance it by the seconds done."""


def no_progress(total: float, verb: str) -> AbstractContextManager[Advance]:
    """Report nothing."""
    return nullcontext(lambda seconds: None)
