"""The Dockerfile: what it copies is there, and what it runs is accepted."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
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


def test_what_the_package_needs_is_installed_before_its_source_is_copied() -> None:
    """Building again after a change of the source would otherwise install all of it again."""
    steps = [DOCKERFILE.index(step) for step in ("COPY pyproject.toml", "pip install -r", "COPY asr", "--no-deps .")]
    assert steps == sorted(steps)


def children(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def test_process_1_ends_while_it_starts() -> None:
    """By the signal that the Dockerfile names: of those that process 1 does not handle, it sees none."""
    (name,) = re.findall(r"^STOPSIGNAL (\S+)$", DOCKERFILE.rpartition("\nFROM ")[2], re.M)
    alone = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]
    if not shutil.which("unshare") or subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("needs unshare, and leave to use it")
    code = "print(flush=True); import time; time.sleep(60)"  # where the program would be imported
    with subprocess.Popen([*alone, sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdout is not None
        run.stdout.readline()
        (first,) = children(run.pid)
        os.kill(first, signal.Signals[name])
        assert run.wait(50) == 130
        assert run.stderr is not None and b"KeyboardInterrupt" in run.stderr.read()


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
