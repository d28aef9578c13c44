"""What commands on many inputs have in common: which files, and how those that failed are told."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping
from glob import glob, has_magic
from pathlib import Path
from typing import TypeVar

import typer

from asr.errors import InputError

T = TypeVar("T")


def find_inputs(inputs: list[str], extensions: Collection[str]) -> list[str]:
    """Files named by paths, folders (searched through) and globs, each once; InputError for what names none.

    ``extensions``: of the files that are meant in folders.
    """
    found: list[str] = []
    for given in inputs:
        path = Path(given)
        if given == "-" or path.is_file():
            found.append(given)
        elif path.is_dir():
            below = [str(p) for p in path.rglob("*") if p.suffix.lower() in extensions and p.is_file()]
            if not below:
                raise InputError(f"{given}: no files of the kinds {', '.join(sorted(extensions))} in this folder")
            found += sorted(below)
        elif has_magic(given) and (matches := [m for m in sorted(glob(given, recursive=True)) if Path(m).is_file()]):
            found += matches
        else:
            raise InputError(f"{given}: no such file, folder or match")
    return list(dict.fromkeys(found))


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
    """Name those that failed, of so many, by their number; the exit status is 1 then."""
    for _, error in sorted(failed.items()):
        print(f"asr: failed: {error}", file=sys.stderr)
    if failed:
        print(f"asr: {len(failed)} of {count} {what} failed", file=sys.stderr)
        raise typer.Exit(1)
