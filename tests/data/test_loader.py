"""Worker processes of a data loader need shared memory."""

from __future__ import annotations

import logging
import shutil
from types import SimpleNamespace

import pytest

from asr.data import loader


def test_no_workers_without_shared_memory(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    free = 64 * 1024
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    with caplog.at_level(logging.WARNING):
        assert loader.usable_workers(0) == 0 and not caplog.text
        assert loader.usable_workers(2) == 0
    assert "data.workers=2: not used, as /dev/shm has 0.1 MB free and 32 MB are needed" in caplog.text
    free = 64 * 2**20  # what a container has by default
    assert loader.usable_workers(2) == 2
