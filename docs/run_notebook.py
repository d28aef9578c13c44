"""Run a notebook without Jupyter, and store what its cells print and draw in it.

python docs/run_notebook.py docs/notebooks/transcribe.ipynb [NAME=VALUE …]

A value replaces that of a name in the cell tagged "parameters". Lines that begin with ! are commands, as in Jupyter.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

COLORS = 48  # of pictures, which makes them a fifth as large
LINES = 30  # of an output that are stored, at its beginning and at its end
SHELL = re.compile(r"^!(.*)$", re.M)


def run(
    path: Path, settings: Mapping[str, Any], command: Callable[[list[str]], str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run the cells of a notebook in its folder.

    Args:
        path: of the notebook.
        settings: values of names of the cell that is tagged "parameters".
        command: runs the words of a command, and returns what it prints.

    Returns:
        the notebook with the outputs of its cells, and the names that the cells define.
    """
    notebook = json.loads(path.read_text(encoding="utf-8"))
    names: dict[str, Any] = {"__name__": "notebook"}
    names["_command"] = lambda line: print(command(shlex.split(line)), end="")
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] != "code":
            continue
        source = SHELL.sub(lambda match: f"_command(f{match[1]!r})", "".join(cell["source"]))
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), _folder(path.parent):
            exec(compile(source, f"{path.name}, cell {number}", "exec"), names)
        if "parameters" in cell["metadata"].get("tags", ()):
            names |= settings
        cell["outputs"] = _outputs(printed.getvalue())
    return notebook, names


@contextlib.contextmanager
def _folder(folder: Path) -> Iterator[None]:  # contextlib.chdir is of Python 3.11
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _outputs(printed: str) -> list[dict[str, Any]]:
    """Return the outputs of a cell: what it printed, and the figures that it left open."""
    outputs: list[dict[str, Any]] = []
    if printed:
        lines = printed.splitlines(keepends=True)
        if (left_out := len(lines) - 2 * LINES) > 0:
            lines[LINES:-LINES] = [f"[… {left_out} lines …]\n"]
        outputs.append({"output_type": "stream", "name": "stdout", "text": lines})
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        for number in pyplot.get_fignums():
            drawn, picture = io.BytesIO(), io.BytesIO()
            pyplot.figure(number).savefig(drawn, format="png", dpi=80)
            Image.open(drawn).convert("RGB").quantize(COLORS).save(picture, format="png", optimize=True)
            data = {"image/png": base64.b64encode(picture.getvalue()).decode(), "text/plain": ["<Figure>"]}
            outputs.append({"output_type": "display_data", "metadata": {}, "data": data})
        pyplot.close("all")
    return outputs


def run_command(words: list[str]) -> str:
    """Run a command in a process of its own; ``asr`` with this Python."""
    program = [sys.executable, "-m", "asr"] if words[0] == "asr" else words[:1]
    return subprocess.run([*program, *words[1:]], check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    """Run the notebook that the command line names, and store its outputs."""
    path, *settings = sys.argv[1:]
    values = {name: ast.literal_eval(value) for name, _, value in (setting.partition("=") for setting in settings)}
    os.environ.setdefault("MPLBACKEND", "agg")
    notebook, _ = run(Path(path).absolute(), values, run_command)
    Path(path).write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
