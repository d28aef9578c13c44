"""Report of errors that the user can correct: one line, with --debug the traceback too."""

from __future__ import annotations

import errno
import logging
import os
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


def print_os_error(error: OSError) -> None:
    """Print an error of the operating system with the file's name."""
    if error.errno is None:  # libraries raise OSError with a sentence of their own
        print_error(error, " ".join(str(error).split()) or type(error).__name__)
        return
    reason = error.strerror or os.strerror(error.errno)
    name = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes, os.PathLike)) else ""
    writing = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO, errno.EPIPE)
    print_error(
        error, f"cannot write {name}: {reason}" if name and writing else f"{name}: {reason}" if name else reason
    )
