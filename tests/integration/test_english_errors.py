"""recipes/english/errors.py: what the errors of a recognizer are."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "recipes" / "english" / "errors.py"


def test_errors_by_kind(tmp_path: Path) -> None:
    lexicon = [
        "any eh n iy",
        "anyone eh n iy w ah n",
        "cat k ae t",
        "eight ey t",
        "hat hh ae t",
        "one w ah n",
        "sat s ae t",
    ]
    (tmp_path / "lexicon.txt").write_text("".join(f"{line}\nate ey t\n" for line in lexicon))
    pairs = [
        ("any one sat", "anyone sat"),  # two errors of one cause
        ("ate one", "eight one"),
        ("cat cat", "hat cat"),
        ("morrel sat", "any one sat"),
        ("sat any", "sat"),
    ]
    rows = [{"id": str(n), "speaker": "a", "reference": r, "hypothesis": h} for n, (r, h) in enumerate(pairs)]
    (tmp_path / "details.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = [sys.executable, str(SCRIPT), str(tmp_path / "details.jsonl"), str(tmp_path / "lexicon.txt")]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert "| a | 11 | 63.6 | 4 | 2 | 1 |" in lines
    rows_of_three = [line.strip("|").split("|") for line in lines if line.count("|") == 4]
    kinds = {name.strip(): number.strip() for name, number, _ in rows_of_three}
    assert kinds["the same letters, joined or divided"] == "2"
    assert kinds["the same phones"] == kinds["one phone differs"] == kinds["more phones differ"] == "1"
    assert kinds["at a word outside the dictionary"] == "2"
    assert any("1 of 11 words (9.1 %) are outside the dictionary: morrel" in line for line in lines)
