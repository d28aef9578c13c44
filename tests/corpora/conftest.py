"""Tiny audio files for the layouts that the tests build."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

Sound = Callable[..., Path]


@pytest.fixture
def sound() -> Sound:
    """Write ``seconds`` of silence to a path; ``form`` is libsndfile's name of a format the suffix hides."""

    def write(path: Path, seconds: float = 0.5, rate: int = 16000, form: str | None = None) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        form = form or {".opus": "OGG", ".sph": "NIST"}.get(path.suffix.lower())
        subtype = "OPUS" if form == "OGG" else None
        soundfile.write(path, np.zeros(int(seconds * rate)), rate, format=form, subtype=subtype)
        return path

    return write
