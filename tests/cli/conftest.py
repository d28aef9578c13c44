"""A trained model, and what it was trained with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def model(tone_run: Path) -> Path:
    return tone_run / "model"


@pytest.fixture(scope="session")
def corpus(tone_run: Path) -> Path:
    return tone_run / "corpus"


@pytest.fixture(scope="session")
def texts(tone_texts: Any) -> list[str]:
    found: list[str] = tone_texts(8)
    return found
