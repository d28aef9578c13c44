"""Vocabulary files: a line ``# {JSON header}``, one token a line, then the SentencePiece model, if any, in base64.

A token that is a space is written ``<space>``; invisible characters are escaped as in Python.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from asr.errors import InputError
from asr.utils.aliases import rename_keys
from asr.utils.text_files import read_text

FORMAT = 1
OPTION_ALIASES = {"edges": "boundary_spaces"}  # present by former name; a configuration's heads have them too
_ESCAPED = re.compile(r"\\(?:\\|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")


def write(path: str | Path, header: Mapping[str, Any], tokens: Sequence[str], model: bytes = b"") -> None:
    """Write a header (JSON values), tokens, and a serialized SentencePiece model, empty if there is none."""
    first = json.dumps({"format": FORMAT, "size": len(tokens), **header}, ensure_ascii=False)
    lines = [f"# {first}", *map(_escape, tokens), base64.encodebytes(model).decode("ascii")]
    Path(path).write_bytes("\n".join(lines).encode("utf-8"))


def read(path: str | Path) -> tuple[dict[str, Any], tuple[str, ...], bytes]:
    """Read header, tokens and model; former names in the header become the present ones.

    Raises:
        InputError: not a vocabulary file; the line is named.
    """
    lines = read_text(path).split("\n")
    header = _header(path, lines[0])
    size = header["size"]
    if len(lines) < size + 2:  # the last token's line also ends in a newline
        raise InputError(f"{path}:{len(lines)}: the file ends here, but its header gives {size} tokens")
    tokens = []
    for number, line in enumerate(lines[1 : size + 1], start=2):
        try:
            tokens.append(_unescape(line))
        except InputError as error:
            raise InputError(f"{path}:{number}: {error}") from error
    try:
        model = base64.b64decode("".join(lines[size + 1 :]), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(
            f"{path}:{size + 2}: expected the end after {size} tokens, or a model in base64: {error}"
        ) from error
    return header, tuple(tokens), model


def _escape(token: str) -> str:
    """Return the line of a token: a space is <space>; white space, control and combining characters are escaped."""
    if token == " ":
        return "<space>"
    if token == "<space>":
        return "\\x3cspace>"

    def escape(c: str) -> str:
        if c == "\\":
            return "\\\\"
        odd = c == " " or not c.isprintable() or unicodedata.category(c)[0] == "M"
        return c if not odd else f"\\u{ord(c):04x}" if ord(c) < 0x10000 else f"\\U{ord(c):08x}"

    return "".join(map(escape, token))


def _unescape(line: str) -> str:
    if line == "<space>":
        return " "
    if "\\" in _ESCAPED.sub("", line):
        raise InputError(f"{line!r}: expected \\\\, \\xNN, \\uNNNN or \\UNNNNNNNN after a backslash")
    try:
        return _ESCAPED.sub(lambda m: "\\" if m[0] == "\\\\" else chr(int(m[0][2:], 16)), line)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{line!r}: no such character") from error


def _header(path: str | Path, line: str) -> dict[str, Any]:
    try:
        header = json.loads(line[2:]) if line.startswith("# ") else None
    except ValueError as error:
        raise InputError(f"{path}:1: the header is not JSON: {error}") from error
    if not isinstance(header, dict):
        raise InputError(f'{path}:1: not a vocabulary file; its first line would be # {{"format": {FORMAT}, …}}')
    if header.get("format") != FORMAT:
        raise InputError(f"{path}:1: format {header.get('format')!r}; this version reads format {FORMAT}")
    if not isinstance(size := header.get("size"), int) or size < 1:
        raise InputError(f"{path}:1: size: {size!r} is not a number of tokens")
    try:
        return rename_keys(header, OPTION_ALIASES)
    except InputError as error:
        raise InputError(f"{path}:1: {error}") from error
