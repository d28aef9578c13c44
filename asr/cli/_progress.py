"""Progress bars for long work."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass


LONG_WORK_SECONDS = 60.0  # of audio, from which on a progress bar is worth it


class progress_bar:
    """Context of a bar over seconds of audio, on a terminal and for long work only; gives its advance function."""

    def __init__(self, total: float, what: str = "transcribing") -> None:
        self.total, self.what = total, what
        self.bar: Any = None

    def __enter__(self) -> Any:
        if self.total < LONG_WORK_SECONDS or not sys.stderr.isatty():
            return lambda seconds: None
        from rich.console import Console
        from rich.progress import Progress

        self.bar = Progress(console=Console(stderr=True)).__enter__()
        task = self.bar.add_task(self.what, total=self.total)
        return lambda seconds: self.bar.advance(task, seconds)

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self.bar.__exit__(*error)
