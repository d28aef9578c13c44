"""Report of errors that the user can correct: one line, with --debug the traceback too."""

from __future__ import annotations

import logging
import sys
import traceback

log = logging.getLogger("asr")


def show_tracebacks() -> None:
    """Print tracebacks from now on (``asr --debug``)."""
    log.setLevel(logging.DEBUG)


def print_error(error: Exception, message: str = "") -> None:
    """Print an error to standard error: its message, or another one, after the traceback if that is asked for."""
    if log.isEnabledFor(logging.DEBUG):
        traceback.print_exception(error)
    print(f"asr: error: {message or error}", file=sys.stderr)
