"""JSON files, which appear only when they are complete."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from asr.utils.atomic import write_atomic


def write_json(path: str | Path, value: Any) -> None:
    """Write a value as indented JSON. Raises ValueError for NaN and infinity, which JSON does not have."""
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    write_atomic(Path(path), text.encode())


def write_jsonl(path: str | Path, values: Iterable[Any]) -> None:
    """Write one line of JSON per value. Raises ValueError for NaN and infinity."""
    lines = (json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n" for value in values)
    write_atomic(Path(path), "".join(lines).encode())
