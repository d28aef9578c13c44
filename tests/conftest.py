"""Fixtures that several test modules use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DEFAULT_SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with the real corpora (``ASR_SHARED_DATA`` or ``../shared/data``); the test is skipped without it."""
    folder = Path(os.environ.get("ASR_SHARED_DATA", DEFAULT_SHARED_DATA))
    if not folder.is_dir():
        pytest.skip(f"real speech is not here: no folder {folder} (set ASR_SHARED_DATA)")
    return folder
