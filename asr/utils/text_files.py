"""Reading text files, the same way in the whole package: UTF-8, plain or compressed, or standard input.

Compression (gzip, bzip2, xz) is recognized by a file's first bytes, whatever its name. A byte-order mark is dropped;
UTF-16, as Windows programs write "Unicode text", is recognized by it.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from asr.errors import InputError

STDIN = "-"  # the name of standard input
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_BZIP2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")  # bytes 4 to 9: the first block, or the end of an empty file


def read_text(path: str | Path, fallback: str | None = None) -> str:
    r"""Read a whole text file; line ends ``\r\n`` become ``\n``.

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
    return text.replace("\r\n", "\n")


def read_lines(path: str | Path) -> Iterator[str]:
    r"""Yield the lines of a text file without their ends (``\n`` or ``\r\n``), reading as it goes.

    Args:
        path: a file, or ``-`` for standard input.

    Raises:
        InputError: the file cannot be read, is damaged, or is not UTF-8 text; the line is named.
    """
    with _open(path) as file:
        for number, line in enumerate(file, start=1):
            if number == 1 and line.startswith(_UTF16_MARKS):
                yield from _utf16_lines(path, line + file.read())
                return
            line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
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
    """Decode UTF-8 or, if a byte-order mark says so, UTF-16; the mark is dropped. Zero bytes are not text."""
    if data.startswith(_UTF16_MARKS):
        return data.decode("utf-16")
    if (zero := data.find(b"\0")) >= 0:
        raise UnicodeDecodeError("utf-8", data, zero, zero + 1, "zero byte")
    return data.decode("utf-8-sig")


def _utf16_lines(path: str | Path, data: bytes) -> Iterator[str]:
    try:
        text = _decode(data)
    except UnicodeDecodeError as error:
        raise _not_text(path, 1, data) from error
    for line in text.removesuffix("\n").split("\n"):
        yield line.removesuffix("\r")


def _not_text(path: str | Path, line: int, data: bytes) -> InputError:
    if b"\0" in data:
        hint = " (a binary file, or UTF-16 without a byte-order mark)"
    else:
        hint = " (save it as UTF-8; in a spreadsheet program as 'CSV UTF-8')"
    return InputError(f"{path}, line {line}: not UTF-8 text{hint}")


@contextmanager
def _open(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a file, or standard input, for reading its decompressed bytes."""
    try:
        if str(path) == STDIN:
            yield _decompressed(sys.stdin.buffer)
            return
        with open(path, "rb") as file:
            yield _decompressed(file)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from error
        raise InputError(f"{path}: the compressed file is damaged or cut short: {error}") from error


def _decompressed(file: Any) -> IO[bytes]:
    """Return the file, or a decompressing one over it."""
    head = file.peek(10)[:10] if isinstance(file, io.BufferedReader) else b""
    if head.startswith(b"\x1f\x8b"):
        opener: Any = gzip.open
    elif head.startswith(b"\xfd7zXZ\x00"):
        opener = lzma.open
    elif head.startswith(b"BZh") and head[4:] in _BZIP2_BLOCKS:
        opener = bz2.open
    else:
        return file
    return io.BufferedReader(opener(file))  # faster for lines
