"""``asr classify``: what it prints, and how it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

Command = Callable[..., Any]


@pytest.fixture
def corpus(class_run: Path) -> Path:
    return class_run / "corpus"


def test_a_line_a_file(asr: Command, class_run: Path, corpus: Path) -> None:
    files = [corpus / "train1.wav", corpus / "train0.wav"]
    outcome = asr("classify", *files, "--model", class_run)
    rows = [line.split("\t") for line in outcome.out.splitlines()]
    assert outcome.status == 0 and [row[:2] for row in rows] == [[str(files[0]), "c d"], [str(files[1]), "ab"]]
    assert all(0.5 < float(row[2]) <= 1 for row in rows)
    two = asr("classify", files[0], "--model", class_run, "--top", 2).out.rstrip("\n").split("\t")
    assert len(two) == 5 and two[1] == "c d" and float(two[2]) >= float(two[4])


def test_json_and_standard_input(asr: Command, class_run: Path, corpus: Path) -> None:
    outcome = asr("classify", "-", "--model", class_run, "--json", stdin=(corpus / "train2.wav").read_bytes())
    found = json.loads(outcome.out)
    assert found["file"] == "-" and [one["class"] for one in found["classes"]] == ["hgf"]


@pytest.mark.parametrize("options", [[], ["--detect"]])
def test_one_bad_file_does_not_stop_the_others(
    asr: Command, class_run: Path, corpus: Path, tmp_path: Path, options: list[str]
) -> None:
    (tmp_path / "bad.wav").write_text("no audio")
    outcome = asr("classify", tmp_path / "bad.wav", corpus / "train0.wav", "--model", class_run, *options)
    assert outcome.status == 1 and f"{corpus}/train0.wav\t" in outcome.out and "ab" in outcome.out
    first, last = outcome.err.splitlines()[-2:]
    assert first.startswith(f"asr: failed: {tmp_path}/bad.wav") and last == "asr: 1 of 2 files failed"


def test_a_file_without_any_signal_has_no_class(asr: Command, class_run: Path, corpus: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "muted.wav", np.zeros(8000), 8000)
    files = [tmp_path / "muted.wav", corpus / "train0.wav"]
    outcome = asr("classify", *files, "--model", class_run)
    lines = outcome.out.splitlines()
    assert outcome.status == 0 and lines[0] == str(files[0]) and lines[1].startswith(f"{files[1]}\tab\t")
    assert json.loads(asr("classify", files[0], "--model", class_run, "--json").out)["classes"] == []
    assert asr("classify", "--detect", files[0], "--model", class_run).out == ""


def test_detect(asr: Command, class_run: Path, tmp_path: Path, tones: Any) -> None:
    silence = np.random.default_rng(0).normal(0, 0.003, 4000)
    long = np.concatenate([silence, tones("hgf", 50), silence, tones("ab", 51), silence])
    file = tmp_path / "long.wav"
    soundfile.write(file, long, 8000)
    rows = [line.split("\t") for line in asr("classify", "--detect", file, "--model", class_run).out.splitlines()]
    assert [row[2] for row in rows] == ["hgf", "ab"] and float(rows[0][0]) == pytest.approx(0.55, abs=0.03)
    options = ["--window", 0.3, "--hop", 0.05, "--threshold", 0.5]
    found = json.loads(asr("classify", "--detect", file, "--model", class_run, "--json", *options).out)
    assert found["file"] == str(file) and [word["word"] for word in found["words"]] == ["hgf", "ab"]
    assert [f"{word['start']:.3f}" for word in found["words"]] == [row[0] for row in rows]


def test_refusals(asr: Command, class_run: Path, tone_run: Path, corpus: Path) -> None:
    file = corpus / "train0.wav"
    asr("classify", file, "--model", tone_run).check_refusal("a speech recognizer; a classifier")
    asr("classify", corpus / "nothing.wav", "--model", class_run).check_refusal("nothing.wav: no such file")
    asr("classify", "--detect", file, "--model", class_run, "--hop", 0).check_refusal("hop=0")


def test_evaluate(asr: Command, class_run: Path, corpus: Path) -> None:
    outcome = asr("evaluate", class_run, corpus / "train.jsonl")
    assert outcome.out == f"{corpus}/train.jsonl: accuracy 100.00 % (0 of 15 wrong)\n"
    refused = asr("evaluate", class_run, corpus / "train.jsonl", "--ensemble", class_run)
    refused.check_refusal("ensembles are for captioners and seq2seq models")
