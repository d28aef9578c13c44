"""Lines of text files, compressed ones too."""

from __future__ import annotations

import gzip
import lzma
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asr.errors import InputError


def lines(path: str | Path) -> Iterator[str]:
    """The lines of a text file, plain or compressed (.gz, .xz), or of standard input (-), or the texts of a manifest.

    Raises InputError naming a file that cannot be read as text.
    """
    if str(path) == "-":
        yield from sys.stdin
        return
    path = Path(path)
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        from asr.data import manifest

        yield from (manifest.text(cut) for cut in manifest.read(path))
        return
    opened: Any = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix, open)
    try:
        with opened(path, "rt", encoding="utf-8") as file:
            yield from file
    except (EOFError, UnicodeDecodeError, gzip.BadGzipFile, lzma.LZMAError) as error:
        raise InputError(f"{path}: not readable as text: {error}") from error
