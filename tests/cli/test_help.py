"""The help texts: sections of commands, and examples that the commands accept."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

import pytest
import typer.main

from asr.cli import app
from asr.cli._help import EXAMPLES, SECTIONS

PROGRAM: Any = typer.main.get_command(app)


def command(name: str) -> Any:
    """Return the command of a name such as "lm train"."""
    found = PROGRAM
    for part in name.split():
        found = found.commands[part]
    return found


def test_every_command_is_in_a_section_and_has_examples() -> None:
    assert set(PROGRAM.commands) == {name for names in SECTIONS.values() for name in names}
    groups = {name: found.commands for name, found in PROGRAM.commands.items() if hasattr(found, "commands")}
    nested = {f"{group} {name}" for group, commands in groups.items() for name in commands}
    assert set(EXAMPLES) == (set(PROGRAM.commands) - set(groups)) | nested


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_accepted(name: str) -> None:
    for example in EXAMPLES[name]:
        assert len(example) <= 86
        words = shlex.split(example, comments=True)
        given = ["asr", *name.split()]
        assert words[: len(given)] == given
        command(name).make_context(name, words[len(given) :]).close()  # parses the options


def test_help_has_sections_and_examples(asr: Callable[..., Any]) -> None:
    listed = asr("--help").out
    assert all(f"\n{title}:\n" in listed for title in SECTIONS) and "..." not in listed.partition("Train a model")[2]
    assert f"Examples:\n  {EXAMPLES['align'][0]}\n" in asr("align", "--help").out
    assert f"Examples:\n  {EXAMPLES['lm train'][0]}\n" in asr("lm", "train", "--help").out
    assert "Examples:" in asr("prepare", "--help").out
    assert "Examples:" not in asr("prepare", "folder", "--help").out  # the corpus is described instead
