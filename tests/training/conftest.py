"""A corpus of eight utterances."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, tone_corpus: Any, tone_texts: Any) -> Path:
    path: Path = tone_corpus(tmp_path_factory.mktemp("corpus"), tone_texts(8))
    return path
