"""``asr evaluate``: what it prints and writes, and how it refuses."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asr.data import manifest

Command = Callable[..., Any]


def test_evaluate_prints_and_writes_figures(asr: Command, model: Path, corpus: Path, tmp_path: Path) -> None:
    cuts = manifest.read(corpus / "train.jsonl")
    cuts[2].supervisions[0].text += " abc"
    manifest.write(cuts, tmp_path / "dev.jsonl")
    words = sum(len(cut.supervisions[0].text.split()) for cut in cuts)
    figures, details = tmp_path / "new" / "figures.json", tmp_path / "details.jsonl"
    outcome = asr("evaluate", model, tmp_path / "dev.jsonl", "--json", figures, "--details", details)
    assert outcome.status == 0
    assert "head text" in outcome.out and f"{100 / words:.2f}" in outcome.out
    assert "worst utterances" in outcome.out and "train2: WER" in outcome.out
    found = json.loads(figures.read_text())
    assert found["wer"] == pytest.approx(1 / words) and found["per"] is None
    assert found["cer"] == pytest.approx(4 / sum(len(cut.supervisions[0].text) for cut in cuts))
    assert found["words"] == {
        "reference": words, "errors": 1, "hits": words - 1, "substitutions": 0, "deletions": 1, "insertions": 0
    }  # fmt: skip
    assert found["utterances"] == 8 and found["heads"]["text"]["wer"] == found["wer"]
    rows = [json.loads(line) for line in details.read_text().splitlines()]
    assert sorted(row["id"] for row in rows) == [cut.id for cut in cuts]
    assert [row["id"] for row in rows if row["wer"]] == ["train2"]


def test_evaluate_without_errors_lists_none(asr: Command, model: Path, corpus: Path) -> None:
    outcome = asr("evaluate", model, corpus / "train.jsonl")
    assert outcome.status == 0 and "worst" not in outcome.out


def test_evaluate_counts_manifests_apart_and_together(
    asr: Command, model: Path, corpus: Path, tmp_path: Path, tone_corpus: Any
) -> None:
    other = tone_corpus(tmp_path, ["ab cd", "ha"], "other")
    outcome = asr("evaluate", model, corpus / "train.jsonl", other, "--json", tmp_path / "f.json", "--worst", 0)
    first = [line.split()[:2] for line in outcome.out.splitlines()[2:]]
    assert sorted(first[:2]) == sorted([[str(corpus / "train.jsonl"), "8"], [str(other), "2"]])
    assert first[2:4] == [["all", "10"], ["[…]:", "95"]]
    assert [words[0] for words in first[4:]] == ["confidence:"]
    figures = json.loads((tmp_path / "f.json").read_text())
    assert figures["utterances"] == 10
    assert figures["groups"][str(corpus / "train.jsonl")]["wer"] == 0
    speakers = asr("evaluate", model, corpus / "train.jsonl", "--by-speaker").out.splitlines()
    assert [line.split()[:2] for line in speakers[2:5]] == [["s0", "4"], ["s1", "4"], ["all", "8"]]


def test_evaluate_a_folder(asr: Command, model: Path, corpus: Path, texts: list[str], tmp_path: Path) -> None:
    for i in range(2):
        shutil.copy(corpus / f"train{i}.wav", tmp_path)
        (tmp_path / f"train{i}.txt").write_text(texts[i].upper())
    outcome = asr("evaluate", model, tmp_path)
    assert outcome.status == 0 and re.search(r"all +2 +\d+ +0\.00", outcome.out)


def test_evaluate_with_a_beam_and_a_language_model(
    asr: Command, model: Path, corpus: Path, texts: list[str], tmp_path: Path
) -> None:
    data, text, lm, figures = corpus / "train.jsonl", tmp_path / "text.txt", tmp_path / "lm.arpa", tmp_path / "f.json"
    text.write_text(texts[0])
    assert asr("lm", "train", text, "--output", lm, "--order", 1).status == 0

    def wer(*options: object) -> float:
        assert asr("evaluate", model, data, "--json", figures, *options).status == 0
        found: float = json.loads(figures.read_text())["wer"]
        return found

    assert wer("--beam", 20) == 0
    assert wer("--lm", lm) > 0.3  # only words of the first text are possible
    assert wer("--lm", lm, "--decoder", "unknown_words=0", "--decoder", "lm_weight=0") == 0
    assert wer("--hotwords", "hdf,fec=0.5") == 0
    asr("evaluate", model, data, "--decoder", "width=3").check_refusal("beam has no option width")
    asr("evaluate", model, data, "--decoder", "width").check_refusal("use KEY=VALUE")
    asr("evaluate", model, data, "--hotwords", "a=b").check_refusal("use a number after =")


def test_evaluate_refuses(asr: Command, model: Path, corpus: Path, tmp_path: Path) -> None:
    data = corpus / "train.jsonl"
    asr("evaluate", model, data, data).check_refusal(f"{data}: utterance train0 is in {data} too")
    asr("evaluate", model, tmp_path / "none.jsonl").check_refusal("none.jsonl: no such manifest")
    asr("evaluate", tmp_path, data).check_refusal("not a model directory")
    asr("evaluate", model, data, "--head", "phones").check_refusal("has no head 'phones'; it has text")
    asr("evaluate", model, data, "--device", "abacus").check_refusal("device 'abacus'")
    cuts = manifest.read(data)
    (tmp_path / "bad.wav").write_bytes((corpus / "train0.wav").read_bytes()[:3000])
    cuts[0].recording.sources[0].source = str(tmp_path / "bad.wav")
    manifest.write(cuts, tmp_path / "bad.jsonl")
    asr("evaluate", model, tmp_path / "bad.jsonl").check_refusal("bad.wav: ")


def test_what_cannot_be_written_is_named(asr: Command, model: Path, corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    outcome = asr("evaluate", model, corpus / "train.jsonl", "--json", tmp_path / "file" / "x.json")
    assert outcome.status == 1 and re.search(r"asr: error: .*file.*: (File exists|Not a directory)", outcome.err)
    assert "Traceback" not in outcome.err
