"""Fixtures of several tests of audio."""

from __future__ import annotations

import sys

import pytest

from asr.audio import backend


@pytest.fixture(autouse=True)
def _forget_logged_messages() -> None:
    backend.logged.clear()


@pytest.fixture
def no_media(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
