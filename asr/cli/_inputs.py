"""Inputs of commands on many files: which files, standard input, and how failures are reported."""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterable, Mapping
from glob import glob, has_magic
from pathlib import Path
from typing import BinaryIO, TypeVar

import typer

from asr.errors import InputError

T = TypeVar("T")

STDIN = "-"  # the name of standard input
MAX_IN_MEMORY = 64 * 2**20  # bytes of standard input; more of it is kept in a temporary file


def find_inputs(inputs: list[str], extensions: Collection[str]) -> list[str]:
    """Find the files named by paths, folders (searched recursively) and globs, each once.

    Args:
        inputs: paths; ``-`` (standard input) is kept.
        extensions: of the files that are taken from folders.

    Raises:
        InputError: a path, folder or glob that names no file.
    """
    files: list[str] = []
    for given in inputs:
        path = Path(given)
        if given == STDIN or path.is_file():
            files.append(given)
        elif path.is_dir():
            below = [str(p) for p in path.rglob("*") if p.suffix.lower() in extensions and p.is_file()]
            if not below:
                raise InputError(f"{given}: no files of the kinds {', '.join(sorted(extensions))} in this folder")
            files += sorted(below)
        elif has_magic(given) and (matches := [m for m in sorted(glob(given, recursive=True)) if Path(m).is_file()]):
            files += matches
        else:
            raise InputError(f"{given}: no such file, folder or match")
    return list(dict.fromkeys(files))


def open_inputs(names: Iterable[str]) -> list[str | BinaryIO]:
    """Replace ``-`` by `spool_stdin`, so that a source can be read more than once."""
    return [spool_stdin() if name == STDIN else name for name in names]


def spool_stdin() -> BinaryIO:
    """Copy standard input to where it can be read more than once: memory, or a temporary file if it is large."""
    # not SpooledTemporaryFile, which cannot be asked whether it is seekable before Python 3.11
    begin = sys.stdin.buffer.read(MAX_IN_MEMORY + 1)
    if len(begin) <= MAX_IN_MEMORY:
        return io.BytesIO(begin)
    file = tempfile.TemporaryFile()  # noqa: SIM115  (deleted with its last reference)
    file.write(begin)
    shutil.copyfileobj(sys.stdin.buffer, file)
    file.seek(0)
    return file


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
        print(f"asr: failed: {error}", file=sys.stderr)
    if failed:
        print(f"asr: {len(failed)} of {count} {what} failed", file=sys.stderr)
        raise typer.Exit(1)
