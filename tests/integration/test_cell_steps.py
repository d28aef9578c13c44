"""recipes/cells/steps.py: the time of a training step of a trained recognizer."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from scripts import import_script

from asr.utils import resources

steps = import_script(resources.folder("recipes") / "cells" / "steps.py")


def test_a_line_for_each_run(
    tone_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(steps, "SECONDS", 1)
    monkeypatch.setattr(sys, "argv", ["steps.py", str(tone_run), str(tone_run)])
    steps.main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    for line in lines:
        run, milliseconds, unit = line.split()
        assert (run, unit) == (str(tone_run), "ms") and int(milliseconds) >= 0
