"""Standard input as a source that is read more than once, and the setting that commands make."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from asr.cli import _inputs
from asr.cli._inputs import spool_stdin


@pytest.mark.parametrize(("limit", "in_memory"), [(1000, True), (999, False), (0, False)])
def test_standard_input_is_kept_in_memory_up_to_a_limit(
    limit: int, in_memory: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytes(range(250)) * 4
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    monkeypatch.setattr(_inputs, "MAX_IN_MEMORY", limit)
    file = spool_stdin()
    assert isinstance(file, io.BytesIO) == in_memory
    assert file.seekable() and file.read() == content
    file.seek(0)
    assert file.read() == content
    file.close()


@pytest.mark.parametrize("limit", [0, 64 * 2**20])
def test_audio_from_standard_input(
    limit: int, asr: Callable[..., Any], tone_run: Path, class_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_inputs, "MAX_IN_MEMORY", limit)
    file = tone_run / "corpus" / "train0.wav"
    transcribed = asr("transcribe", "-", "--model", tone_run, stdin=file.read_bytes())
    assert transcribed.out == asr("transcribe", file, "--model", tone_run).out
    file = class_run / "corpus" / "train0.wav"
    for options in ([], ["--detect"]):
        found = asr("classify", "-", "--model", class_run, *options, stdin=file.read_bytes())
        assert found.status == 0 and "ab" in found.out


def test_commands_that_run_a_network_flush_subnormal_numbers(asr: Callable[..., Any], tone_run: Path) -> None:
    assert asr("info", tone_run).status == 0
    assert (torch.tensor([1e-40]) * 1).item() > 0
    assert asr("transcribe", tone_run / "corpus" / "train0.wav", "--model", tone_run).status == 0
    assert (torch.tensor([1e-40]) * 1).item() == 0
