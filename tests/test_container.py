"""The Dockerfile: what it copies is there, and what it runs is accepted."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import typer.main

from asr.cli import app

ROOT = Path(__file__).parents[1]
DOCKERFILE = re.sub(r"\\\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"))


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[0] == "*"
    sources = [source for line in re.findall(r"^COPY ((?!--).*) \S+$", DOCKERFILE, re.M) for source in line.split()]
    assert {"pyproject.toml", "asr", "configs", "recipes"} <= set(sources)
    assert all((ROOT / source).exists() and f"!{source}" in ignored for source in sources)


def test_commands_are_accepted_and_the_server_runs_without_rights() -> None:
    final = DOCKERFILE.rpartition("\nFROM ")[2]
    (user,) = re.findall(r"^USER (\S+)$", final, re.M)
    assert "0" not in user.split(":") and "root" not in user
    (entry,) = re.findall(r"^ENTRYPOINT (.*)$", final, re.M)
    shell, _, script, _ = json.loads(entry)
    served = shlex.split(script.partition("exec asr ")[2].replace('"$@"', "--model english --port 9000"))
    warmed = shlex.split(re.findall(r"^RUN NUMBA_CACHE_DIR=\S+ \S+/asr (.*)$", DOCKERFILE, re.M)[0])
    program = typer.main.get_command(app)
    assert shell == "sh" and served[:3] == ["serve", "--host", "0.0.0.0"]
    for name, *arguments in (served, warmed):
        program.commands[name].make_context(name, arguments).close()  # type: ignore[attr-defined]
    assert (ROOT / warmed[1]).is_file()
