r"""Reading text files, the same way in the whole package: UTF-8, plain or compressed, or standard input.

Compression (gzip, bzip2, xz) is recognized by a file's first bytes, whatever its name. Byte-order marks are dropped,
those between joined files too; UTF-16, as Windows programs write "Unicode text", and UTF-32 are recognized by them.
Lines end in ``\n`` or ``\r\n``, in a file that has neither in ``\r``.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import logging
import lzma
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from asr.errors import InputError

log = logging.getLogger(__name__)

STDIN = "-"  # the name of standard input
MAX_FALLBACK = 0.01  # share of bytes that are not ASCII in a file of another encoding which is read without a warning
BOM = "\ufeff"
# in this order: the first is the beginning of the third
_WIDE_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# first bytes of what is often taken for text
_NO_TEXT = {
    b"(\xb5/\xfd": "compressed with Zstandard",
    b"\x04\x22\x4d\x18": "compressed with LZ4",
    b"\x1f\x9d": "compressed with compress",
    b"PK\x03\x04": "a ZIP archive, or a document of an office program (.docx, .xlsx, .odt)",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"%PDF-": "a PDF document",
    b"{\\rtf": "a document in Rich Text Format",
    b"\xd0\xcf\x11\xe0": "a document of an office program (.doc, .xls)",
    b"PAR1": "a Parquet table",
}
_BZIP2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")  # bytes 4 to 9: the first block, or the end of an empty file


def read_text(path: str | Path, fallback: str | None = None) -> str:
    r"""Read a whole text file; all line ends become ``\n``.

    Args:
        path: a file, or ``-`` for standard input.
        fallback: encoding of a file that is not UTF-8, such as "latin-1"; None: there is none.

    Raises:
        InputError: the file cannot be read, is damaged, or is not text in the encoding; the line is named.
    """
    with _open(path) as file:
        data = file.read()
    try:
        text = _decode(data)
    except UnicodeDecodeError as error:
        if fallback is None or b"\0" in data:
            raise _not_text(path, data.count(b"\n", 0, error.start) + 1, error.object) from error
        text = data.decode(fallback)
        if sum(byte > 127 for byte in data) > MAX_FALLBACK * len(data):
            shown = next(line for line in text.split("\n") if not line.isascii()).strip()[:40]
            log.warning(
                "%s: not UTF-8 text; it is read as %s, is %r right? If not, save it as UTF-8", path, fallback, shown
            )
    return _with_newlines(text)


def read_lines(path: str | Path) -> Iterator[str]:
    r"""Yield the lines of a text file without their ends (``\n`` or ``\r\n``), reading as it goes.

    Args:
        path: a file, or ``-`` for standard input.

    Raises:
        InputError: the file cannot be read, is damaged, or is not UTF-8 text; the line is named.
    """
    with _open(path) as file:
        for number, line in enumerate(file, start=1):
            is_old_mac = b"\r" in line and not line.endswith(b"\n")
            if number == 1 and (is_old_mac or line.startswith(tuple(_WIDE_MARKS))):
                yield from _whole_lines(path, line + file.read())
                return
            line = line.removeprefix(codecs.BOM_UTF8)
            if b"\0" in line:
                raise _not_text(path, number, line)
            try:
                yield line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8")
            except UnicodeDecodeError as error:
                raise _not_text(path, number, line) from error


def first_bytes(path: str | Path, count: int) -> bytes:
    """Return the first ``count`` bytes of a file, decompressed; none of a pipe, which can be read only once.

    Raises:
        InputError: the file is there but cannot be read, or is damaged.
    """
    if not Path(path).is_file():
        return b""
    with _open(path) as file:
        return file.read(count)


def _decode(data: bytes) -> str:
    """Decode UTF-8 or, if a byte-order mark says so, UTF-16 or UTF-32. Zero bytes are not text."""
    for mark, encoding in _WIDE_MARKS.items():
        if data.startswith(mark):
            return data.decode(encoding)
    if (zero := data.find(b"\0")) >= 0:
        raise UnicodeDecodeError("utf-8", data, zero, zero + 1, "zero byte")
    return data.decode("utf-8")


def _with_newlines(text: str) -> str:
    r"""Make all line ends ``\n``, and drop the byte-order marks at the beginning of lines."""
    text = text.replace("\r\n", "\n") if "\n" in text else text.replace("\r", "\n")
    return text.replace(f"\n{BOM}", "\n").removeprefix(BOM) if BOM in text else text


def _whole_lines(path: str | Path, data: bytes) -> Iterator[str]:
    """Yield the lines of a file that has to be read at once."""
    try:
        text = _decode(data)
    except UnicodeDecodeError as error:
        raise _not_text(path, 1, data) from error
    yield from _with_newlines(text).removesuffix("\n").split("\n")


def _not_text(path: str | Path, line: int, data: bytes) -> InputError:
    if b"\0" in data:
        hint = " (a binary file, or UTF-16 without a byte-order mark: save it as UTF-8)"
    else:
        hint = " (save it as UTF-8; in a spreadsheet program as 'CSV UTF-8'; or use iconv -f ENCODING -t UTF-8)"
    return InputError(f"{path}, line {line}: not UTF-8 text{hint}")


@contextmanager
def _open(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a file, or standard input, for reading its decompressed bytes."""
    try:
        if str(path) == STDIN:
            yield _decompressed(path, sys.stdin.buffer)
            return
        with open(path, "rb") as file:
            yield _decompressed(path, file)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from error
        raise InputError(f"{path}: the compressed file is damaged or cut short: {error}") from error


def _decompressed(path: str | Path, file: Any) -> IO[bytes]:
    """Return the file, or a decompressing one over it. Raises InputError for what is known to be no text."""
    head = file.peek(10)[:10] if isinstance(file, io.BufferedReader) else b""
    if head.startswith(b"\x1f\x8b"):
        opener: Any = gzip.open
    elif head.startswith(b"\xfd7zXZ\x00"):
        opener = lzma.open
    elif head.startswith(b"BZh") and head[4:] in _BZIP2_BLOCKS:
        opener = bz2.open
    elif (kind := next((kind for begin, kind in _NO_TEXT.items() if head.startswith(begin)), None)) is not None:
        raise InputError(f"{path}: this is {kind}, not a text file; accepted are UTF-8, also with gzip, bzip2 or xz")
    else:
        return file
    return io.BufferedReader(opener(file))  # faster for lines
