"""What the shell completes after ``asr --install-completion``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("asr transc", ["transcribe"]),
        ("asr lm tr", ["train"]),
        ("asr transcribe --cue-", ["--cue-characters", "--cue-lines", "--cue-seconds"]),
        ("asr transcribe --format v", ["vtt"]),
        ("asr align --format srt,js", ["srt,json"]),
        ("asr transcribe --model eng", ["english"]),
        ("asr evaluate runs/d", ["runs/demo"]),
        ("asr tune runs/m", ["runs/mine/seed=1"]),
        ("asr train recipes/shake", ["recipes/shakespeare/characters.yaml", "recipes/shakespeare/large.yaml"]),
        ("asr prepare lib", ["librispeech"]),
        ("asr transcribe talk", []),  # the shell completes files
    ],
)
def test_bash_completes(
    line: str, completed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asr: Callable[..., Any]
) -> None:
    for run in ("demo", "mine/seed=1"):
        (tmp_path / "runs" / run / "model").mkdir(parents=True)
        (tmp_path / "runs" / run / "model" / "config.yaml").touch()
    (tmp_path / "runs" / "unfinished").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("_ASR_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split()) - 1))
    outcome = asr()
    assert outcome.status == 0 and outcome.out.split() == completed


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_scripts_of_completion_are_printed(
    shell: str, monkeypatch: pytest.MonkeyPatch, asr: Callable[..., Any]
) -> None:
    monkeypatch.setenv("_ASR_COMPLETE", f"source_{shell}")
    assert f"_ASR_COMPLETE=complete_{shell}" in asr().out
