"""Texts for language models: lines of text files, or transcripts of speech manifests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from asr.data import manifest
from asr.errors import InputError
from asr.utils.text_files import STDIN, read_lines, read_text


def read_texts(path: str | Path) -> Iterator[str]:
    """Yield the lines of a text file without their ends, or the transcripts of a manifest.

    Args:
        path: a file for `asr.utils.text_files.read_lines`, which reads it as it goes. If its first line is a JSON
            object, it is a manifest for `asr.data.manifest.read`, whatever its name.

    Raises:
        InputError: a file that cannot be read as text, or a faulty manifest; the line is named.
    """
    lines = read_lines(path)
    for number, line in enumerate(lines):
        if number == 0 and _is_record(line):
            yield from _transcripts(path)
            return
        yield line


def read_document(path: str | Path) -> str:
    r"""Read a text file as one string, or the transcripts of a manifest, each ended by ``\n``; see `read_texts`."""
    text = read_text(path)
    if _is_record(text.partition("\n")[0]):
        return "".join(f"{transcript}\n" for transcript in _transcripts(path))
    return text


def _is_record(line: str) -> bool:
    """Tell whether the line is a JSON object, as all lines of a manifest are."""
    if not line.lstrip().startswith("{"):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _transcripts(path: str | Path) -> Iterator[str]:
    if str(path) == STDIN:
        raise InputError("standard input has a manifest, which cannot be read from there: give its file")
    yield from (manifest.text(cut) for cut in manifest.read(path))
