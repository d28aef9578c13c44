"""Fixtures of several tests of audio."""

from __future__ import annotations

import sys

import pytest

import asr.audio


@pytest.fixture(autouse=True)
def _forget_what_was_said() -> None:
    asr.audio._said.clear()


@pytest.fixture
def no_media(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
