"""Refuse files and folders that this user may not read."""

from __future__ import annotations

import os
from pathlib import Path

from asr.errors import InputError


def check_readable(path: Path) -> None:
    """Refuse a file or folder that exists and may not be read; safetensors says of such a file that it is missing.

    Raises:
        InputError: this user has no permission to read it.
    """
    if os.path.exists(path) and not os.access(path, os.R_OK | (os.X_OK if os.path.isdir(path) else 0)):
        raise InputError(f"{path}: no permission to read it")
