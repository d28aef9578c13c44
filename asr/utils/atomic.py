"""Atomic writing of files: a reader finds the old content or the new one, never a part."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary file beside ``path`` to write to, which replaces ``path`` in the end.

    Missing folders are made. If an exception is raised the temporary file is removed and ``path`` stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


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
