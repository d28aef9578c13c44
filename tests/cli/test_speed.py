"""Arguments are refused, and help is printed, before torch is imported, which takes a second."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CASES = [
    *(["--help"], ["transcribe", "--help"], ["train", "--help"], ["lm", "train", "--help"]),
    ["transcribe", "nope.wav", "--model", "nope"],
    ["transcribe", "{file}", "--model", "nope"],
    ["transcribe", "{file}", "--model", "{folder}", "--channel", "0"],
    ["transcribe", "{file}", "--model", "{folder}", "--decoder", "beam"],
    ["align", "{file}", "{file}", "--model", "nope"],
    ["classify", "{file}", "--model", "nope"],
    ["caption", "{file}", "--model", "nope"],
    ["evaluate", "nope", "nope"],
    ["tune", "nope", "nope", "--values", "beam=x"],
    ["generate", "nope"],
    ["pronounce", "a", "--model", "nope"],
    ["train", "nope"],
]
PROGRAM = """
import contextlib, io, json, sys
from asr.cli import main
statuses = []
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["asr", *arguments]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            main()
        except SystemExit as stopped:
            statuses.append(stopped.code)
    assert "torch" not in sys.modules, arguments
print(statuses)
"""


def test_no_torch_before_arguments_are_checked(tmp_path: Path) -> None:
    import json

    (tmp_path / "file").write_text("one")
    places = {"file": tmp_path / "file", "folder": tmp_path}
    cases = [[argument.format(**places) for argument in case] for case in CASES]
    done = subprocess.run([sys.executable, "-c", PROGRAM, json.dumps(cases)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{[0] * 4 + [1] * (len(CASES) - 4)}\n"
