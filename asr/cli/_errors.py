"""Report of errors that the user can correct: one line, with --debug the traceback too."""

from __future__ import annotations

import errno
import logging
import os
import re
import sys
import traceback

from asr.utils.escape import escape_control

log = logging.getLogger("asr")


def show_tracebacks() -> None:
    """Print tracebacks from now on (``asr --debug``)."""
    log.setLevel(logging.DEBUG)


def print_error(error: Exception, message: str = "") -> None:
    """Print an error to standard error: its message, or another one, after the traceback if that is asked for."""
    if log.isEnabledFor(logging.DEBUG):
        traceback.print_exception(error)
    print(f"asr: error: {escape_control(message or str(error))}", file=sys.stderr)


def lacks_memory(error: Exception) -> bool:
    """Return whether an error is one of Python, NumPy or torch that means that memory is used up."""
    return isinstance(error, MemoryError) or "not enough memory" in str(error) or "out of memory" in str(error)


def print_memory_error(error: Exception) -> None:
    """Print that memory is used up, and the amount that was asked for if it is known."""
    amount = re.search(r"allocate [\d.]+ ?\w+", str(error))
    asked = f" (tried to {amount[0]})" if amount else ""
    print_error(error, f"not enough memory{asked}: smaller batches, shorter windows or smaller networks need less")


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
