"""What commands import, and what they leave for those that need it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]


def imported(*arguments: object) -> set[str]:
    """Top-level modules that a command has imported when it ends."""
    program = (
        "import sys, atexit; sys.argv[0] = 'asr'; from asr.cli import main\n"
        "atexit.register(lambda: print(*{name.split('.')[0] for name in sys.modules}, file=sys.stderr))\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["transcribe", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    modules = imported(*arguments)
    assert "asr" in modules
    assert not modules & {"torch", "lightning", "lhotse", "numpy", "hydra", "librosa", "numba", "soundfile"}


def test_transcribing_imports_no_trainer(model: Path, corpus: Path) -> None:
    modules = imported("transcribe", corpus / "train0.wav", "--model", model)
    assert "torch" in modules
    assert not modules & {"lightning", "pytorch_lightning", "lhotse", "hydra", "tensorboard", "pandas", "matplotlib"}


def test_version(asr: Command) -> None:
    import asr as package

    assert asr("--version").out == package.__version__ + "\n"
