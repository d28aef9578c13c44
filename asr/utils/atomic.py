"""Atomic writing of files: a reader finds the old content or the new one, never a part."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def name_file(path: str | Path) -> Iterator[None]:
    """Give an OSError of the body that names no file, such as that of a full disk, the name of ``path``."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary file beside ``path`` to write to, which replaces ``path`` in the end.

    Missing folders are made. If an exception is raised the temporary file is removed and ``path`` stays as it was. A
    device or pipe (``/dev/stdout``, ``/dev/null``) is written to itself: it cannot be replaced.

    Raises:
        OSError: the file cannot be written; it is named, not the temporary one.
    """
    if _is_special(path):
        with name_file(path):
            yield path
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None and error.filename in (None, str(temporary)):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def _is_special(path: Path) -> bool:
    """Return whether a path is a device, pipe or socket."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def write_atomic(path: Path, content: bytes) -> None:
    """Write ``content`` to a file by `atomic_path`."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_if_changed(path: Path, content: bytes) -> bool:
    """Write ``content`` by `write_atomic` unless the file has it already; return whether the file was written."""
    if path.is_file() and path.read_bytes() == content:
        return False
    write_atomic(path, content)
    return True
