"""List the files of a folder as a person sees them: links followed, hidden files and system files left out."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterator
from pathlib import Path

log = logging.getLogger(__name__)

# folders that systems keep beside a user's files: NAS indexes and recycle bins, macOS archives, Windows
SYSTEM_FOLDERS = frozenset(
    {"@eadir", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "__macosx", "lost+found", "$recycle.bin",
     "system volume information"}
)  # fmt: skip


def is_litter(name: str) -> bool:
    """Return whether the name of a file or folder is hidden (begins with a dot) or that of a `SYSTEM_FOLDERS`."""
    return name.startswith(".") or name.lower() in SYSTEM_FOLDERS


def list_files(folder: Path, extensions: Collection[str]) -> list[Path]:
    """List the files below a folder with one of some extensions (in lower case), sorted.

    Links to folders are followed, each folder once. Hidden files and folders and those of systems (`is_litter`) are
    left out. Links that lead nowhere and folders that cannot be read are logged.
    """
    return sorted(path for path in _walk(folder, set()) if path.suffix.lower() in extensions and _is_file(path))


def _walk(folder: Path, visited: set[tuple[int, int]]) -> Iterator[Path]:
    """Yield the entries below a folder that are not folders; files before the folders, which links may repeat."""
    try:
        status = folder.stat()
        if (status.st_dev, status.st_ino) in visited:
            return
        visited.add((status.st_dev, status.st_ino))
        names = sorted(name for name in os.listdir(folder) if not is_litter(name))
    except OSError as error:
        log.warning("%s: skipped: %s", folder, error.strerror)
        return
    folders = []
    for name in names:
        path = folder / name
        if path.is_dir():
            folders.append(path)
        else:
            yield path
    # real folders first: a folder that a link leads to as well keeps its own name
    for path in sorted(folders, key=lambda path: (path.is_symlink(), path)):
        yield from _walk(path, visited)


def _is_file(path: Path) -> bool:
    if path.is_file():
        return True
    if path.is_symlink() and not path.exists():
        log.warning("%s: skipped: a link to %s, which does not exist", path, os.readlink(path))
    return False
