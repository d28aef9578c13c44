"""asr compare: models, and what asr evaluate wrote of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Command = Callable[..., Any]


def test_models_and_their_hypotheses(asr: Command, tone_run: Path, tmp_path: Path) -> None:
    data, details, figures = tone_run / "corpus" / "train.jsonl", tmp_path / "a.jsonl", tmp_path / "figures.json"
    done = asr("evaluate", tone_run, data, "--details", details, "--json", figures)
    assert done.status == 0 and "WER %" in done.out
    rows = [json.loads(line) for line in details.read_text().splitlines()]
    assert {row["speaker"] for row in rows} == {"s0", "s1"}
    worse = tmp_path / "b.trn"
    worse.write_text("".join(f"{row['hypothesis']} gg ({row['id']})\n" for row in rows))
    results = [
        asr("compare", details, worse, "--json", tmp_path / "c.json"),
        asr("compare", tone_run, worse, data),
        asr("compare", details, worse, data, "--normalization", "english"),
    ]
    for result in results:
        assert result.status == 0 and result.out.splitlines()[1:] != []
        assert "utterances with fewer errors: 8 in A, 0 in B; equal: 0" in result.out
        assert result.out.splitlines()[2:][:1] != [] and result.out.count("gg\n") == 5
    summary = json.loads((tmp_path / "c.json").read_text())
    assert summary["a"]["interval_95"] == json.loads(figures.read_text())["interval_95"]
    assert summary["a"]["wer"] < summary["b"]["wer"] and summary["difference"]["speakers"]["wer"]["blocks"] == 2
    same = asr("compare", tone_run, details, data, "--worst", "0")
    assert "0 in A, 0 in B; equal: 8" in same.out and "REF" not in same.out


def test_refusals(asr: Command, tone_run: Path, tmp_path: Path) -> None:
    (tmp_path / "a.trn").write_text("a (u1)\n")
    (tmp_path / "b.trn").write_text("a (u2)\n")
    asr("compare", tmp_path / "a.trn", tmp_path / "b.trn").check_refusal("the utterances are not the same: .*u1")
    asr("compare", tone_run, tmp_path / "a.trn").check_refusal("give the manifest to evaluate this model on")
    help = asr("compare", "--help").out
    assert "asr compare " in help and "--normalization english" in help
