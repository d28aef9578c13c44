"""A trained recognizer."""

from __future__ import annotations

from pathlib import Path

import pytest

import asr
from asr.inference.recognizer import Recognizer


@pytest.fixture(scope="module")
def trained(tone_run: Path) -> Recognizer:
    return asr.load(tone_run / "model")
