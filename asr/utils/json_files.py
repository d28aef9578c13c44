"""JSON files, which appear only when they are complete."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from asr.utils.atomic import write_atomic
from asr.utils.escape import to_json


def write_json(path: str | Path, value: Any) -> None:
    """Write a value as indented JSON. Raises ValueError for NaN and infinity, which JSON does not have."""
    write_atomic(Path(path), (to_json(value, indent=2) + "\n").encode())


def write_jsonl(path: str | Path, values: Iterable[Any]) -> None:
    """Write one line of JSON per value. Raises ValueError for NaN and infinity."""
    write_atomic(Path(path), "".join(to_json(value) + "\n" for value in values).encode())
