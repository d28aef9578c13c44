"""Tables of utterances: CSV, TSV and Excel files with a header, as records by the names of their columns."""

from __future__ import annotations

import csv
import io
import logging
import re
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, time
from pathlib import Path
from typing import Any

from asr.errors import InputError
from asr.text.normalization import visible
from asr.utils.text_files import read_text

log = logging.getLogger(__name__)

TABLES = (".csv", ".tsv", ".xlsx")
DELIMITERS = ",;\t|"
HEADER_SIZE = 100_000  # characters in which the first line is looked for
DELIMITER_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}

# Names of the columns of tables and the keys of JSON rows, in the order in which they are looked for: those of NeMo, of
# Hugging Face (file_name, transcription, sentence), DeepSpeech (wav_filename), Common Voice (client_id) and of people.
AUDIO_COLUMNS = (
    *("audio_filepath", "audio", "path", "file", "wav", "wav_filename", "file_name", "audio_path", "audio_file"),
    *("audio_filename", "file_path", "wav_path", "wav_file", "wav_filepath"),
)
TEXT_COLUMNS = ("text", "transcript", "sentence", "transcription", "normalized_text", "raw_text", "txt")
ID_COLUMNS = ("id", "utt_id", "utterance_id", "segment_id")
SPEAKER_COLUMNS = ("speaker", "speaker_id", "speaker_name", "spk", "spkr", "client_id")
# times in seconds, each also with _ms in milliseconds
START_COLUMNS = ("offset", "start", "begin", "start_time", "begin_time", "onset", "start_sec", "start_seconds")
END_COLUMNS = ("end", "stop", "end_time", "stop_time", "end_sec", "end_seconds")
DURATION_COLUMNS = ("duration", "dur", "duration_sec", "duration_seconds")
TIME_COLUMNS = (START_COLUMNS, END_COLUMNS, DURATION_COLUMNS)
Record = tuple[int, "dict[str, Any] | InputError"]  # the number of a line, and its record or what is wrong with it


class MissingColumnError(InputError):
    """The header of a table lacks a column."""


def with_ms(names: Sequence[str]) -> tuple[str, ...]:
    """Return names of times, in seconds and in milliseconds."""
    return (*names, *(f"{name}_ms" for name in names))


_KNOWN = {
    name.replace("_", ""): name
    for names in (AUDIO_COLUMNS, TEXT_COLUMNS, ID_COLUMNS, SPEAKER_COLUMNS, *map(with_ms, TIME_COLUMNS))
    for name in names
}


def column_name(name: str) -> str:
    """Return the plain form of a column's name: Start (s) is start, End [ms] end_ms, fileName file_name."""
    name = visible(name).strip().lower()
    name, unit = re.fullmatch(r"(.*?)\s*(?:[(\[](\w+)\.?[)\]])?", name, re.DOTALL).groups()  # type: ignore[union-attr]
    name = re.sub(r"[\s-]+", "_", name)
    if unit in ("ms", "milliseconds"):
        name = f"{name}_ms"
    elif unit not in (None, "s", "sec", "secs", "seconds"):
        name = f"{name}_{unit}"
    return _KNOWN.get(name.replace("_", ""), name)


def table_records(path: Path, kind: str, required: Sequence[Collection[str]]) -> Iterator[Record]:
    """Yield the line numbers and records of a table; a row with a wrong number of cells gives an InputError instead.

    Rows without any text are left out, and the header where it stands again.

    Args:
        path: the file.
        kind: one of `TABLES`.
        required: sets of names; the header must have a name of each.

    Raises:
        MissingColumnError: the header lacks a column.
        InputError: the file cannot be read.
    """
    delimiter = ""
    if kind == ".xlsx":
        rows: Iterator[tuple[int, list[str] | InputError]] = _excel_rows(path, required)
    else:
        # cells of CSV are limited to 131072 characters otherwise, the text of an hour has more
        csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
        text = read_text(path)
        if declared := re.match(
            r'"?sep=(.)"?[^\n]*(?:\n|$)', text, re.IGNORECASE
        ):  # a line that Excel writes and reads
            text = text[declared.end() :]
        delimiter = declared[1] if declared else _delimiter(text, kind, required)
        rows = _text_rows(path, text, kind, delimiter, first=2 if declared else 1)
    line, header = next(rows, (1, []))
    if isinstance(header, InputError):
        raise header
    names = [column_name(name) for name in header]
    for wanted in required:
        if names and not set(wanted) & set(names):
            raise MissingColumnError(
                f"{path}, line {line}: no column {one_of(wanted)} in the header {_shown(header)}; "
                "the first line names the columns, as audio,text"
            )
    if twice := [name for name, count in Counter(filter(None, names)).items() if count > 1]:
        raise InputError(f"{path}, line {line}: two columns have the name {' and '.join(twice)}")
    for line, row in rows:
        if isinstance(row, InputError):
            yield line, row
            continue
        if row == header:  # of files that were joined
            continue
        if kind == ".xlsx":  # its rows are as long as they have cells
            row = [*row, *[""] * (len(names) - len(row))]
            row = row[: max([len(names), *(at for at, cell in enumerate(row, start=1) if cell.strip())])]
        if len(row) != len(names):
            hint = f" (quote a text that has {DELIMITER_NAMES.get(delimiter, delimiter)})" if kind == ".csv" else ""
            where = f"{path}, line {line}"
            yield line, InputError(f"{where}: {len(row)} columns where the header has {len(names)}{hint}")
        else:
            yield line, dict(zip(names, row, strict=True))


def one_of(names: Collection[str]) -> str:
    """List alternatives: "a, b or c"."""
    *others, last = names
    return f"{', '.join(others)} or {last}"


def _shown(header: Sequence[str]) -> str:
    listed = ", ".join(map(repr, header))
    return f"[{listed[:200]}{'…' if len(listed) > 200 else ''}]"


def _delimiter(text: str, kind: str, required: Sequence[Collection[str]]) -> str:
    """Return the character that separates the cells: with it, the header has the columns that it must have."""
    usual = "\t" if kind == ".tsv" else ","
    line = next((line for line in re.split("[\r\n]", text[:HEADER_SIZE]) if line.strip()), "")
    for delimiter in (usual, *DELIMITERS):
        if _has_columns((column_name(name.strip().strip('"')) for name in line.split(delimiter)), required):
            return delimiter
    # without such a header, the most frequent one, so that the message shows its columns
    return max((usual, *DELIMITERS), key=line.count)


def _text_rows(
    path: Path, text: str, kind: str, delimiter: str, first: int
) -> Iterator[tuple[int, list[str] | InputError]]:
    """Yield the numbers of the lines on which rows end, and the rows; InputError for one with wrong quotation marks."""
    lines = io.StringIO(text, newline="")
    no_quotes = kind == ".tsv" and delimiter == "\t"
    if no_quotes:
        # TSV has no quoting: a sentence that begins with a quotation mark would swallow the lines after it
        reader = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    else:
        header = next((line for line in text[:HEADER_SIZE].split("\n") if line.strip()), "")
        spaced = 0 < header.count(delimiter) == header.count(f"{delimiter} ")
        reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=spaced)
    while True:
        begin = reader.line_num + first
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            what = 'a quotation mark within quotation marks is written twice, as in "say ""no"" now"'
            if "end of data" in str(error):
                what = "the quotation mark that begins a cell here is not closed"
            elif "expected after" not in str(error):
                what = str(error)
            yield begin, InputError(f"{path}, line {begin}: {what}")
            continue
        if any(cell.strip() for cell in row):
            yield reader.line_num + first - 1, [_unquoted(cell) for cell in row] if no_quotes else row


def _unquoted(cell: str) -> str:
    """Remove the quotation marks around a cell of TSV in which others are doubled, which is certainly quoted."""
    inner = cell[1:-1]
    if cell[:1] == '"' == cell[-1:] and '""' in inner and '"' not in inner.replace('""', ""):
        return inner.replace('""', '"')
    return cell


def _excel_rows(path: Path, required: Sequence[Collection[str]]) -> Iterator[tuple[int, list[str] | InputError]]:
    """Yield the rows of the first sheet of an Excel workbook with the columns required, or else the first with any."""
    try:
        import openpyxl
    except ImportError as error:
        raise InputError(
            f"{path}: Excel files need the package openpyxl (pip install 'asr-recurrent[excel]'); "
            "or save the table as 'CSV UTF-8'"
        ) from error
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        sheets = [
            (sheet.title, [list(map(_cell, row)) for row in sheet.iter_rows(values_only=True)])
            for sheet in book.worksheets
        ]
    except Exception as error:  # openpyxl raises many kinds for a damaged file
        raise InputError(f"{path}: not an Excel workbook that can be read: {type(error).__name__}: {error}") from error
    tables = [(name, table) for name, rows in sheets if (table := _filled(rows))]
    fitting = [(name, table) for name, table in tables if _has_columns(map(column_name, table[0][1]), required)]
    if len(fitting) > 1:
        others = ", ".join(repr(name) for name, _ in fitting[1:])
        log.warning("%s: only the sheet %r is read, not %s", path, fitting[0][0], others)
    for _, table in (fitting or tables)[:1]:
        yield from table


def _filled(rows: Sequence[list[str]]) -> list[tuple[int, list[str]]]:
    return [(number, row) for number, row in enumerate(rows, start=1) if any(cell.strip() for cell in row)]


def _has_columns(names: Iterable[str], required: Sequence[Collection[str]]) -> bool:
    """Tell whether a header has a column of each set."""
    known = set(names)
    return all(known & set(wanted) for wanted in required)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime) and value.time() == time():
        value = value.date()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
