"""Manifest files: JSON lines and tables, the paths in them, and rows in other formats than Lhotse's."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr import audio
from asr.errors import InputError
from asr.utils.atomic import write_if_changed
from asr.utils.text_files import read_lines, read_text

AUDIO_COLUMNS = ("audio_filepath", "audio", "path", "file", "wav")
TEXT_COLUMNS = ("text", "transcript", "sentence")
COMPRESSED = (".gz", ".xz", ".bz2")
FORMATS = ".jsonl, .json, .csv, .tsv (also with .gz, .xz or .bz2), or a folder of audio files beside .txt files"

SHOWN = 5  # faulty files that a message lists


@dataclass(frozen=True)
class ManifestRow:
    """An utterance of a table or folder, before its audio file has been opened.

    Attributes:
        id: name of the utterance.
        audio: path as given.
        text: transcript.
        speaker: empty where unknown.
        start: of the segment, in seconds.
        duration: of the segment, in seconds; None: to the end of the file.
    """

    id: str
    audio: str
    text: str
    speaker: str = ""
    start: float = 0.0
    duration: float | None = None


def records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the line numbers (from 1) and records of a JSON-lines, CSV or TSV file.

    Raises:
        InputError: an unknown extension, or a line that cannot be parsed; it is named.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    kind = suffixes[-1] if suffixes else ""
    if kind in (".jsonl", ".json"):
        yield from _json_records(path)
    elif kind in (".csv", ".tsv"):
        yield from _table_records(path, kind)
    else:
        raise InputError(f"{path}: unknown format of a manifest (accepted: {FORMATS})")


def _json_records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, item in enumerate(read_lines(path), start=1):
        if not item.strip():
            continue
        try:
            record = json.loads(item)
        except ValueError as error:
            raise InputError(f"{path}, line {line}: not JSON: {error}") from error
        if not isinstance(record, dict):
            raise InputError(f"{path}, line {line}: expected one JSON object a line, not {item.strip()[:40]!r}")
        yield line, record


def _table_records(path: Path, kind: str) -> Iterator[tuple[int, dict[str, Any]]]:
    lines = io.StringIO(read_text(path), newline="")
    if kind == ".tsv":
        # TSV has no quoting: a sentence that begins with a quotation mark would swallow the lines after it
        reader = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(lines, strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        for names in (AUDIO_COLUMNS, TEXT_COLUMNS):
            if header and not set(names) & set(header):
                raise InputError(f"{path}, line 1: no column {' or '.join(names)} in the header {header}")
        for row in reader:
            if row and len(row) != len(header):
                hint = " (quote a text that has commas)" if kind == ".csv" else ""
                where = f"{path}, line {reader.line_num}"
                raise InputError(f"{where}: {len(row)} columns where the header has {len(header)}{hint}")
            if row:
                yield reader.line_num, dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: {error}") from error


def write_records(records: Iterable[tuple[str, dict[str, Any]]], path: Path, what: str) -> bool:
    """Write (id, JSON object) pairs to ``.jsonl`` or ``.jsonl.gz``; the same ones always give the same bytes.

    The file is replaced as a whole or not at all. ``what`` names the objects in errors ("utterances").

    Returns:
        Whether the file changed.

    Raises:
        InputError: no objects, two with one id, another extension, or a folder that cannot be written.
    """
    if not path.name.endswith((".jsonl", ".jsonl.gz")):
        raise InputError(f"{path}: the name of a manifest ends in .jsonl or .jsonl.gz")
    lines: dict[str, str] = {}
    for id, record in records:
        if id in lines:
            raise InputError(f"{path}: two {what} have the id {id!r}")
        lines[id] = json.dumps(record, ensure_ascii=False)
    if not lines:
        raise InputError(f"{path}: there are no {what} to write")
    content = "".join(line + "\n" for line in lines.values()).encode()
    if path.suffix == ".gz":
        buffer = io.BytesIO()
        with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0) as file:
            file.write(content)
        content = buffer.getvalue()
    try:
        return write_if_changed(path, content)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error


def to_manifest_path(path: str, folder: str) -> str:
    """Return a path as a manifest in ``folder`` names it: relative if the file lies below, else absolute."""
    full = os.path.abspath(path)
    return os.path.relpath(full, folder) if full.startswith(folder + os.sep) else full


def from_manifest_path(location: str, folder: Path) -> str:
    """Return the absolute path of a file that a manifest names, relative to its folder or to the working directory."""
    beside = os.path.abspath(folder / location)
    return beside if os.path.exists(beside) or not os.path.exists(location) else os.path.abspath(location)


def check_unique(ids: Iterable[tuple[str, str]]) -> None:
    """Raise InputError for an id that occurs twice, of (id, file and line) pairs."""
    seen: dict[str, str] = {}
    for id, where in ids:
        if id in seen:
            raise InputError(f"{where}: the id {id!r} was used already ({seen[id]})")
        seen[id] = where


def check_files_exist(files: Sequence[tuple[str, str]], manifest: Path, what: str) -> None:
    """Raise InputError listing those of a manifest's files, (line of the manifest, path), that do not exist."""
    missing = [f"{where}: {file}" for where, file in files if not os.path.isfile(file)]
    if missing:
        listed = "\n  ".join(missing[:SHOWN]) + ("\n  …" if len(missing) > SHOWN else "")
        raise InputError(f"{manifest}: {len(missing)} of {len(files)} {what} do not exist:\n  {listed}")


def parse(record: dict[str, Any], where: str) -> ManifestRow:
    """Parse a record with the keys of NeMo, or those of AUDIO_COLUMNS and TEXT_COLUMNS.

    Raises:
        InputError: a key that is missing or has a value of the wrong type; ``where`` (file and line) is named.
    """
    location = _required(record, AUDIO_COLUMNS, where)
    if not location:
        raise InputError(f"{where}: the name of the audio file is empty")
    text = " ".join(_required(record, TEXT_COLUMNS, where).split())
    start = _seconds(record, ("offset", "start"), where)
    duration = _seconds(record, ("duration",), where)
    if duration is not None and duration <= 0:
        raise InputError(f"{where}: duration is {duration:g}, expected seconds above 0")
    name = os.path.normpath(os.path.splitext(location)[0])
    # segments of one file need different names
    default = name if start is None else f"{name}-{round(start * 1000):07d}"
    id, speaker = (str(record.get(key) or "") for key in ("id", "speaker"))
    return ManifestRow(id or default, location, text, speaker, start or 0.0, duration)


def _required(record: dict[str, Any], names: Sequence[str], where: str) -> str:
    name = next((name for name in names if record.get(name) is not None), None)
    if name is None:
        raise InputError(f"{where}: no {' or '.join(names)} among the keys {', '.join(record)}")
    if not isinstance(record[name], str):
        raise InputError(f"{where}: {name} is {record[name]!r}, expected text")
    return record[name]


def _seconds(record: dict[str, Any], names: Sequence[str], where: str) -> float | None:
    name = next((name for name in names if record.get(name) not in (None, "")), None)
    if name is None:
        return None
    try:
        seconds = float(record[name])
    except (TypeError, ValueError):
        seconds = math.nan
    if not math.isfinite(seconds):
        raise InputError(f"{where}: {name} is {record[name]!r}, expected seconds")
    return seconds


def folder_rows(folder: Path) -> list[ManifestRow]:
    """List the audio files below ``folder``, each with the text of the ``.txt`` beside it.

    The speaker is the name of the file's folder; empty for files directly in ``folder``.

    Raises:
        InputError: audio files without ``.txt``.
    """
    rows, without_transcript = [], []
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder)
        hidden = any(part.startswith(".") for part in name.parts)
        if hidden or file.suffix.lower() not in audio.INPUT_EXTENSIONS:
            continue
        transcripts = [file.with_suffix(suffix) for suffix in (".txt", ".TXT")]
        transcript = next((path for path in transcripts if path.is_file()), None)
        if transcript is None:
            without_transcript.append(name.as_posix())
            continue
        text = " ".join(read_text(transcript).split())
        rows.append(ManifestRow(name.with_suffix("").as_posix(), name.as_posix(), text, name.parent.name))
    if count := len(without_transcript):
        listed = ", ".join(without_transcript[:SHOWN]) + (", …" if count > SHOWN else "")
        raise InputError(f"{folder}: {count} audio files have no .txt beside them: {listed}")
    return rows
