"""Print file names that are not UTF-8 and characters that a console's encoding does not have.

Python keeps the bytes of such a name as surrogates (PEP 383), which UTF-8 cannot encode.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import Any

ESCAPE = "asr.escape"
"""Name of the error handler for `bytes` and text streams: replaces what an encoding does not have, never fails."""

_PLAIN = str.maketrans({"…": "...", "–": "-", "—": "-", "’": "'", "‘": "'", "“": '"', "”": '"', "×": "x", "µ": "u"})


def escape_surrogates(text: str) -> str:
    r"""Return a text that UTF-8 can encode: the bytes of names that are not UTF-8 become ``\xe9``."""
    return re.sub("[\ud800-\udfff]", lambda match: _escaped(match[0]), text)


def escape_control(text: str) -> str:
    r"""Return a text with control characters, such as line feeds in names of files, as escapes (``\n``, ``\x1b``).

    A line feed before two blanks stays: so a list begins its next line.
    """
    return re.sub("\n(?!  )|[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]", lambda match: repr(match[0])[1:-1], text)


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("ascii", "backslashreplace").decode("ascii")


def _replace(error: UnicodeError) -> tuple[str, int]:
    """Handle an encoding error: typographic characters become plain ones, others escapes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    return "".join(c.translate(_PLAIN) if ord(c) in _PLAIN else _escaped(c) for c in characters), error.end


codecs.register_error(ESCAPE, _replace)


def to_json(value: Any, indent: int | None = None) -> str:
    r"""Encode a value as JSON that UTF-8 can encode: the bytes of names that are not UTF-8 become ``\udce9``.

    Python reads them back as the same name.

    Raises:
        ValueError: NaN or infinity, which JSON does not have.
    """
    return json_for(json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False), "utf-8")


def json_for(text: str, encoding: str | None) -> str:
    r"""Return JSON with escapes (``\u00e9``) for the characters that an encoding does not have; None: UTF-8."""

    def escaped(match: re.Match[str]) -> str:
        try:
            match[0].encode(encoding or "utf-8")
        except UnicodeEncodeError:
            return json.dumps(match[0])[1:-1]
        return match[0]

    return re.sub(r"[^\x00-\x7f]", escaped, text) if not text.isascii() else text
