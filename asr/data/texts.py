"""Texts for language models: lines of text files, or transcripts of speech manifests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from asr.data import manifest
from asr.data.manifest_files import manifest_kind
from asr.data.tables import TABLES, TEXT_COLUMNS, MissingColumnError, table_records
from asr.errors import InputError
from asr.utils.text_files import STDIN, read_lines, read_text


def read_texts(path: str | Path, *, phones: bool = False) -> Iterator[str]:
    """Yield the lines of a text file without their ends, or the transcripts of a manifest.

    Args:
        path: a file for `asr.utils.text_files.read_lines`, which reads it as it goes. If its first line is a JSON
            object, or begins an array in a file whose name says JSON, it is a manifest for `asr.data.manifest.read`. A
            table (``.csv``, ``.tsv``, ``.xlsx``) with a column of `TEXT_COLUMNS` has the texts in it.
        phones: yield the phones of a manifest's utterances, which have spaces between them, instead of transcripts.

    Raises:
        InputError: a file that cannot be read as text, or a faulty manifest; the line is named.
    """
    if (texts := _table_texts(path)) is not None:
        yield from texts
        return
    lines = read_lines(path)
    for number, line in enumerate(lines):
        if number == 0 and _is_manifest(path, line):
            yield from _transcripts(path, phones)
            return
        yield line


def read_document(path: str | Path, *, phones: bool = False) -> str:
    r"""Read a text file as one string, or the texts of a manifest, each ended by ``\n``; see `read_texts`."""
    if (texts := _table_texts(path)) is not None:
        return "".join(f"{line}\n" for line in texts)
    text = read_text(path)
    if _is_manifest(path, text.partition("\n")[0]):
        return "".join(f"{transcript}\n" for transcript in _transcripts(path, phones))
    return text


def _is_manifest(path: str | Path, line: str) -> bool:
    """Tell whether a file that begins with the line is a manifest: of JSON objects, or an array of them."""
    if line.lstrip().startswith("["):
        return manifest_kind(Path(path)) in (".json", ".jsonl")
    if not line.lstrip().startswith("{"):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _table_texts(path: str | Path) -> list[str] | None:
    """Return the texts of a table; None for another file, or one without a column of texts."""
    kind = manifest_kind(Path(path))
    if kind not in TABLES or not Path(path).is_file():
        return None
    try:
        rows = list(table_records(Path(path), kind, [TEXT_COLUMNS]))
    except MissingColumnError:
        return None
    texts = []
    for _, record in rows:
        if isinstance(record, InputError):
            raise record
        texts.append(" ".join(next(str(record[name]) for name in TEXT_COLUMNS if name in record).split()))
    return texts


def _transcripts(path: str | Path, phones: bool) -> Iterator[str]:
    if str(path) == STDIN:
        raise InputError("standard input has a manifest, which cannot be read from there: give its file")
    yield from (manifest.phones(cut) or "" if phones else manifest.text(cut) for cut in manifest.read(path))
