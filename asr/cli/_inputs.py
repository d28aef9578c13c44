"""Inputs of commands on many files: which files, pipes and standard input, and how failures are reported."""

from __future__ import annotations

import io
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Collection, Iterable, Mapping
from glob import glob, has_magic
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import typer

from asr.errors import InputError
from asr.utils.atomic import name_file
from asr.utils.escape import escape_control
from asr.utils.folders import is_litter, list_files
from asr.utils.permissions import check_readable

T = TypeVar("T")

STDIN = "-"  # the name of standard input
STDIN_PATHS = ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")
MAX_IN_MEMORY = 64 * 2**20  # bytes of a pipe; more of it is kept in a temporary file


def find_inputs(inputs: list[str], extensions: Collection[str]) -> list[str]:
    """Find the files named by paths, folders (searched recursively) and globs, each once.

    From folders and globs, links to folders are followed, and hidden files and those of systems are left out, see
    `asr.utils.folders.list_files`.

    Args:
        inputs: paths of files and pipes; ``-`` (standard input) is kept.
        extensions: of the files that are taken from folders.

    Raises:
        InputError: a path, folder or glob that names no file, a device, or a folder that may not be read.
    """
    files: list[str] = []
    for given in inputs:
        path = Path(given)
        if given == STDIN or path.is_file() or _is_pipe(given):
            files.append(given)
        elif path.is_dir():
            check_readable(path)
            below = list_files(path, extensions)
            if not below:
                kinds = ", ".join(sorted(extensions))
                raise InputError(f"{given}: no files of the kinds {kinds} in this folder (hidden ones do not count)")
            files += map(str, below)
        elif path.exists():
            raise InputError(f"{given}: is a device; give a file, a folder, a pipe, or - for standard input")
        elif path.is_symlink():
            raise InputError(f"{given}: a link to {os.readlink(path)}, which does not exist")
        elif has_magic(given) and (matches := _glob(given)):
            files += matches
        else:
            raise InputError(f"{given}: no such file, folder or match")
    return list(dict.fromkeys(files))


def _is_pipe(path: str) -> bool:
    """Return whether a path is a pipe, a socket, or standard input of any kind."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return path in STDIN_PATHS or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _glob(pattern: str) -> list[str]:
    """Return the files that match, without those in hidden and system folders that the pattern does not name."""
    named = set(Path(pattern).parts)
    return [
        match
        for match in sorted(glob(pattern, recursive=True))
        if os.path.isfile(match) and not any(is_litter(part) for part in Path(match).parts if part not in named)
    ]


def open_inputs(names: Iterable[str]) -> list[str | BinaryIO]:
    """Replace ``-`` and pipes by copies that can be read more than once, see `spool`.

    Raises:
        InputError: standard input is closed, or is named twice.
        OSError: a pipe cannot be read, or there is no room for its copy.
    """
    names = list(names)
    if sum(name == STDIN or name in STDIN_PATHS for name in names) > 1:
        raise InputError("standard input can be read only once; it is named twice")
    return [_open_input(name) for name in names]


def _open_input(name: str) -> str | BinaryIO:
    if name == STDIN:
        return spool_stdin()
    if not _is_pipe(name) or os.path.isfile(name):
        return name
    if name in STDIN_PATHS:  # a socket cannot be opened by its path
        return spool(sys.stdin.buffer, name)
    with open(name, "rb") as file:
        return spool(file, name)


class _NamedBytes(io.BytesIO):
    """Bytes in memory, with the name that messages have."""

    name = ""


class _NamedFile(io.BufferedRandom):
    """A temporary file, with the name that messages have."""

    name = ""


def spool_stdin() -> BinaryIO:
    """Copy standard input by `spool`."""
    return spool(sys.stdin.buffer, "standard input")


def spool(file: Any, name: str) -> BinaryIO:
    """Copy a stream to where it can be read more than once: memory, or a temporary file if it is large.

    Args:
        file: binary, open for reading.
        name: of the copy, for messages.
    """
    # not SpooledTemporaryFile, which cannot be asked whether it is seekable before Python 3.11
    begin = file.read(MAX_IN_MEMORY + 1)
    copy: Any
    if len(begin) <= MAX_IN_MEMORY:
        copy = _NamedBytes(begin)
    else:
        with name_file(f"{tempfile.gettempdir()} (TMPDIR: a copy of {name})"):
            copy = _NamedFile(tempfile.TemporaryFile(buffering=0))  # noqa: SIM115  (deleted with its last reference)
            copy.write(begin)
            shutil.copyfileobj(file, copy)
            copy.seek(0)
    copy.name = name
    return copy


def collect(results: Iterable[tuple[int, T | InputError]]) -> tuple[dict[int, T], dict[int, InputError]]:
    """Split the results of a runner into those that succeeded and those that failed, by index."""
    done: dict[int, T] = {}
    failed: dict[int, InputError] = {}
    for index, result in results:
        if isinstance(result, InputError):
            failed[index] = result
        else:
            done[index] = result
    return done, failed


def end(failed: Mapping[int, Exception], count: int, what: str = "files") -> None:
    """Report inputs that failed, in order, and exit with status 1 if there are any.

    Args:
        failed: errors by the index of the input.
        count: number of inputs.
        what: the inputs' noun.
    """
    for _, error in sorted(failed.items()):
        print(f"asr: failed: {escape_control(str(error))}", file=sys.stderr)
    if failed:
        print(f"asr: {len(failed)} of {count} {what} failed", file=sys.stderr)
        raise typer.Exit(1)
