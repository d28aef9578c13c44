"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A file beside ``path`` to write to, which then takes its place: a reader sees the old content or the new one.

    Makes missing folders. If writing fails nothing is left of it.
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
    """Make ``content`` a file's, by `atomic_path` it."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_if_changed(path: Path, content: bytes) -> bool:
    """`write_atomic` unless the file has this content already; whether it was written."""
    if path.is_file() and path.read_bytes() == content:
        return False
    write_atomic(path, content)
    return True
