"""The models that are part of the package: a model directory each."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
DEFAULT = "english"  # of `asr transcribe`, `asr align` and `asr.load`


def names() -> list[str]:
    """Return the names of the models that are part of the package."""
    return sorted(path.name for path in FOLDER.iterdir() if (path / "config.yaml").is_file())
