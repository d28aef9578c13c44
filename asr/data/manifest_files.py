"""Manifest files: JSON lines and tables, the paths in them, and rows in other formats than Lhotse's."""

from __future__ import annotations

import gzip
import io
import json
import math
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr.data.tables import (
    AUDIO_COLUMNS,
    DURATION_COLUMNS,
    END_COLUMNS,
    ID_COLUMNS,
    SPEAKER_COLUMNS,
    START_COLUMNS,
    TABLES,
    TEXT_COLUMNS,
    TIME_COLUMNS,
    Record,
    column_name,
    one_of,
    table_records,
    with_ms,
)
from asr.errors import InputError
from asr.utils.atomic import write_if_changed
from asr.utils.text_files import read_lines, read_text

IGNORED = frozenset({"wav_filesize"})  # of DeepSpeech, says nothing that is needed
_CLOCK = re.compile(r"(?:(\d{1,6}):)?(\d{1,6}):(\d{1,6}(?:[.,]\d*)?)")  # 1:02:03.5
_SURROGATE = re.compile("[\ud800-\udfff]")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")
_WITH_UNIT = re.compile(r"(\d{1,9}(?:[.,]\d*)?) ?(s|sec|seconds|ms)", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"-?\d+,\d+")
MAX_TIME_DIFFERENCE = 0.05  # seconds between a duration and the difference of start and end
COMPRESSED = (".gz", ".xz", ".bz2")
FORMATS = (
    ".jsonl, .json, .csv, .tsv (also with .gz, .xz or .bz2), .xlsx, "
    "or a folder of audio files beside .txt, .TextGrid, .eaf, .srt, .vtt, .ctm or .stm files, or one of Kaldi's"
)

SHOWN = 5  # faulty files that a message lists
SHOWN_ROWS = 50  # faulty rows that a message lists


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
        place: file and line of the row, for messages; empty: that of the audio file.
    """

    id: str
    audio: str
    text: str
    speaker: str = ""
    start: float = 0.0
    duration: float | None = None
    place: str = ""


def manifest_kind(path: Path) -> str:
    """Return the extension of a file in lower case, without that of a compression."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def records(path: Path) -> Iterator[Record]:
    """Yield the line numbers (from 1) and records of a file of JSON, CSV, TSV or Excel.

    JSON is one object a line, or an array of objects. A line that cannot be parsed gives an InputError in place of its
    record, so that those after it can be read.

    Raises:
        InputError: an unknown extension, or a file that cannot be parsed any further; the line is named.
    """
    kind = manifest_kind(path)
    if kind in (".jsonl", ".json"):
        yield from _json_records(path)
    elif kind in TABLES:
        yield from table_records(path, kind, (AUDIO_COLUMNS, TEXT_COLUMNS))
    else:
        spreadsheet = kind in (".xls", ".xlsm", ".xlsb", ".ods", ".numbers")
        hint = "; save the table as .xlsx or 'CSV UTF-8'" if spreadsheet else ""
        raise InputError(f"{path}: unknown format of a manifest (accepted: {FORMATS}){hint}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a JSON object. Raises ValueError for a key that is there twice, with different values."""
    result = dict(pairs)
    if len(result) < len(pairs) and (twice := [name for name, value in pairs if result[name] != value]):
        raise ValueError(f"the key {twice[0]!r} is there twice")
    return result


# not strict: tabs in strings are no harm
_DECODER = json.JSONDecoder(strict=False, object_pairs_hook=_object)


def _json_records(path: Path) -> Iterator[Record]:
    is_first = True
    for line, item in enumerate(read_lines(path), start=1):
        if not item.strip():
            continue
        # an array, or an object over several lines
        if is_first and (item.lstrip().startswith("[") or item.strip() == "{"):
            yield from _json_values(path)
            return
        is_first = False
        try:
            record = _DECODER.decode(item)
        except (ValueError, RecursionError) as error:
            yield line, InputError(f"{path}, line {line}: not JSON: {error}")
        else:
            yield line, record if isinstance(record, dict) else _no_object(path, line, item)


def _json_values(path: Path) -> Iterator[Record]:
    """Yield the objects of an array, or of objects one after another, with the line on which each begins."""
    text = read_text(path)
    line, counted, at = 1, 0, 0
    is_array = text.lstrip().startswith("[")
    between = re.compile(r"[\s,]*")
    at = text.index("[") + 1 if is_array else 0
    while True:
        at = between.match(text, at).end()  # type: ignore[union-attr]
        line, counted = line + text.count("\n", counted, at), at
        if at == len(text) or (is_array and text[at] == "]"):
            break
        try:
            record, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}, line {line}: not JSON: {error}") from error
        yield line, record if isinstance(record, dict) else _no_object(path, line, text[at:end])
        at = end
    if is_array and not text[at:].strip():
        raise InputError(f"{path}, line {line}: the JSON array is cut short: ] is missing")
    if is_array and (rest := text[at + 1 :].strip()):
        raise InputError(f"{path}, line {line}: {rest[:40]!r} behind the end of the JSON array")


def _no_object(path: Path, line: int, item: str) -> InputError:
    return InputError(f"{path}, line {line}: expected a JSON object, not {item.strip()[:40]!r}")


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
        if not lines[id].isascii() and _SURROGATE.search(lines[id]):  # a file name that is not UTF-8
            lines[id] = json.dumps(record)
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
    """Return a path as a manifest in ``folder`` names it, absolute unless both may move together.

    It is relative to the folder if the file lies below it, or if both lie below the working directory.
    """
    full = os.path.abspath(path)
    is_below = any(
        full.startswith(common + os.sep) and (folder + os.sep).startswith(common + os.sep)
        for common in (folder, os.getcwd())
    )
    return os.path.relpath(full, folder) if is_below else full


def from_manifest_path(location: str, folder: Path) -> str:
    """Return the absolute path of a file that a manifest names, relative to its folder or to the working directory.

    Where there is no such file, backslashes are taken for slashes, and accents as other systems store them.
    """
    names = [location]
    if "\\" in location:
        names.append(location.replace("\\", "/"))
    if not location.isascii():
        names += [unicodedata.normalize(form, name) for name in tuple(names) for form in ("NFC", "NFD")]
    for name in names:
        for path in (folder / name, Path(name)):
            if os.path.exists(path):
                return os.path.abspath(path)
    return os.path.abspath(folder / location)


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
    """Parse a record with the keys of NeMo, or others of AUDIO_COLUMNS, TEXT_COLUMNS … (in any letter case).

    Raises:
        InputError: a key that is missing or has a value of the wrong type; ``where`` (file and line) is named.
    """
    names = [column_name(name) for name in record]
    if len(set(names)) < len(names):
        twice = [name for name in record if names.count(column_name(name)) > 1]
        raise InputError(f"{where}: the keys {' and '.join(twice)} mean the same")
    record = dict(zip(names, record.values(), strict=True))
    location = _required(record, AUDIO_COLUMNS, where).strip()
    if not location:
        raise InputError(f"{where}: the name of the audio file is empty")
    text = " ".join(_SURROGATE.sub("", _required(record, TEXT_COLUMNS, where)).split())  # half a character is none
    start, end, duration = (_seconds(record, names, where) for names in (START_COLUMNS, END_COLUMNS, DURATION_COLUMNS))
    if duration is not None and duration <= 0:
        raise InputError(f"{where}: duration is {duration:g}, expected seconds above 0")
    if end is not None:
        length = end - (start or 0.0)
        if length <= 0:
            raise InputError(f"{where}: the segment {start or 0:g}–{end:g} s ends before it begins")
        # the duration may be that of the whole file
        if duration is not None and abs(duration - length) > MAX_TIME_DIFFERENCE and duration < end:
            segment = f"the segment {start or 0:g}–{end:g} s"
            raise InputError(f"{where}: duration is {duration:g}, but {segment} is {length:g} s long")
        duration = length
    name = os.path.normpath(os.path.splitext(location)[0])
    # segments of one file need different names
    default = name if start is None else f"{name}-{round(start * 1000):07d}"
    id, speaker = _name(record, ID_COLUMNS), _name(record, SPEAKER_COLUMNS)
    return ManifestRow(id or default, location, text, speaker, start or 0.0, duration)


def ignored_columns(records: Iterable[dict[str, Any]]) -> list[str]:
    """List the keys of records for `parse` that have a value in one of them and nevertheless no effect."""
    ignored: dict[str, None] = {}
    for record in records:
        filled = {column_name(name): None for name, value in record.items() if value not in (None, "")}
        used = {
            next((name for name in names if name in filled), None)
            for names in (AUDIO_COLUMNS, TEXT_COLUMNS, ID_COLUMNS, SPEAKER_COLUMNS, *map(with_ms, TIME_COLUMNS))
        }
        ignored |= {name: None for name in filled if name not in used and name not in IGNORED}
    return [name or "(a column without a name)" for name in ignored]


def _name(record: dict[str, Any], names: Sequence[str]) -> str:
    """Return the first value that there is, as text; 0 is one."""
    return next((str(record[name]).strip() for name in names if record.get(name) not in (None, "")), "")


def _required(record: dict[str, Any], names: Sequence[str], where: str) -> str:
    name = next((name for name in names if record.get(name) not in (None, "")), None)
    name = name or next((name for name in names if record.get(name) is not None), None)
    if name is None:
        raise InputError(f"{where}: no {one_of(names)} among the keys {', '.join(record)}")
    value = record[name]
    if isinstance(value, dict) and isinstance(value.get("path"), str):  # an audio of Hugging Face's datasets
        return value["path"]
    if name in TEXT_COLUMNS and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)  # a number that is spoken
    if not isinstance(value, str):
        raise InputError(f"{where}: {name} is {repr(value)[:60]}, expected text")
    return value


def _seconds(record: dict[str, Any], names: Sequence[str], where: str) -> float | None:
    name = next((name for name in with_ms(names) if record.get(name) not in (None, "")), None)
    if name is None:
        return None
    value = record[name]
    seconds = math.nan
    if isinstance(value, str):
        value = value.strip()
        if clock := _CLOCK.fullmatch(value):
            value = int(clock[1] or 0) * 3600 + int(clock[2]) * 60 + float(clock[3].replace(",", "."))
        elif name.endswith("_ms") and _THOUSANDS.fullmatch(value):
            value = value.replace(",", "")
        elif _DECIMAL_COMMA.fullmatch(value):
            value = value.replace(",", ".")
        elif unit := _WITH_UNIT.fullmatch(value):
            value = float(unit[1].replace(",", ".")) / (1000 if unit[2] == "ms" and not name.endswith("_ms") else 1)
    try:
        seconds = float("nan" if isinstance(value, bool) else value)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if not math.isfinite(seconds):
        raise InputError(f"{where}: {name} is {record[name]!r}, expected seconds")
    return seconds / 1000 if name.endswith("_ms") else seconds
