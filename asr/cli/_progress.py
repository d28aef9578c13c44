"""Progress bars for long work."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from asr.utils.progress import Advance

LONG_WORK_SECONDS = 60.0  # of audio, from which on a progress bar is shown


@contextmanager
def progress_bar(total: float, verb: str) -> Iterator[Advance]:
    """Show a progress bar over seconds of audio, on a terminal and for long work only.

    Args:
        total: seconds of audio.
        verb: shown before the bar, such as "transcribing".

    Yields:
        A function that is called with the seconds of each part that is done.
    """
    if total < LONG_WORK_SECONDS or not sys.stderr.isatty():
        yield lambda seconds: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task(verb, total=total)
        yield lambda seconds: bar.advance(task, seconds)
