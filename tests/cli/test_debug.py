"""``asr --debug``: tracebacks of errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from asr.utils import resources

Command = Callable[..., Any]


def test_a_traceback_is_printed_if_asked_for(asr: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = asr("--debug", "train", "none.yaml")
    assert outcome.status == 1 and outcome.err.startswith("Traceback")
    assert outcome.err.splitlines()[-1].startswith("asr: error: none.yaml: no such recipe")
    asr("train", "none.yaml").check_refusal("none.yaml: no such recipe")
    monkeypatch.setenv("ASR_DEBUG", "1")
    assert "Traceback" in asr("train", "none.yaml").err
    monkeypatch.setenv("ASR_DEBUG", "0")
    assert "Traceback" not in asr("train", "none.yaml").err


def test_a_fault_of_the_program_is_no_error_of_the_user(asr: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: str) -> None:
        raise TypeError("a fault of the program")

    monkeypatch.setattr(resources, "recipe", fail)
    with pytest.raises(TypeError, match="a fault of the program"):
        asr("train", "none.yaml")
