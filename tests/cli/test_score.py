"""asr score, and asr.error_rate: files of hypotheses of any recognizer."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import asr as asr_
from asr.errors import InputError

Command = Callable[..., Any]

REFERENCES = {"a-1": "the cat sat down", "a-2": "a dog", "b-1": "two words"}
HYPOTHESES = {"a-1": "the cat sat", "a-2": "a dog", "b-1": "too words more"}


def trn(path: Path, texts: dict[str, str]) -> Path:
    path.write_text("".join(f"{text} ({id})\n" for id, text in texts.items()))
    return path


def kaldi(path: Path, texts: dict[str, str]) -> Path:
    path.write_text("".join(f"{id} {text}\n" for id, text in reversed(texts.items())))
    return path


def test_error_rate() -> None:
    assert asr_.error_rate("the cat sat down", "the cat sat") == 0.25
    assert asr_.error_rate(list(REFERENCES.values()), list(HYPOTHESES.values())) == 3 / 8
    assert asr_.error_rate(["abc"], ["abd"], kind="cer") == 1 / 3
    assert asr_.error_rate("a", "b c") == 2.0
    assert math.isnan(asr_.error_rate([], []))
    with pytest.raises(InputError, match="2 references and 1 hypotheses"):
        asr_.error_rate(["a", "b"], ["a"])
    with pytest.raises(InputError, match="kind='word' is not one of wer, cer, per"):
        asr_.error_rate("a", "a", kind="word")  # type: ignore[arg-type]


@pytest.mark.parametrize("write", [trn, kaldi])
def test_texts_by_their_ids(asr: Command, tmp_path: Path, write: Callable[[Path, dict[str, str]], Path]) -> None:
    suffix = ".trn" if write is trn else ".txt"
    reference, hypothesis = write(tmp_path / f"r{suffix}", REFERENCES), kaldi(tmp_path / "h.txt", HYPOTHESES)
    done = asr("score", reference, hypothesis, "--json", tmp_path / "figures.json")
    assert done.status == 0
    assert "37.50" in done.out and "a-1: WER 25.00 % of 4 words: 0 sub, 1 del, 0 ins" in done.out
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["wer"] == 3 / 8 and figures["words"]["errors"] == 3 and figures["utterances"] == 3
    assert "CER" in done.out and "CER" in asr("score", reference, hypothesis, "--metric", "cer", "--worst", "0").out


def test_utterances_that_are_not_in_both(asr: Command, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    reference = trn(tmp_path / "r.trn", REFERENCES)
    few = trn(tmp_path / "few.trn", {"a-1": "the cat sat down", "c-1": "more"})
    asr("score", reference, few).check_refusal("few.trn lacks 2 of 3 utterances .a-2, b-1.; --missing-as-empty")
    done = asr("score", reference, few, "--missing-as-empty")
    assert done.status == 0 and "50.00" in done.out
    assert "1 hypotheses have no reference and are left out: c-1" in caplog.text
    other = trn(tmp_path / "other.trn", {"x": "a"})
    asr("score", reference, other).check_refusal("no utterance of .*other.trn is in .*r.trn.*--plain")


def test_lines_without_ids(asr: Command, tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("The cat!\n\nsat down\n")
    (tmp_path / "h.txt").write_text("the cat\n\nsat up\n")
    assert "75.00" in asr("score", tmp_path / "r.txt", tmp_path / "h.txt", "--plain").out
    assert "25.00" in asr("score", tmp_path / "r.txt", tmp_path / "h.txt", "--plain", "--normalization", "english").out
    (tmp_path / "h.txt").write_text("the cat\n")
    asr("score", tmp_path / "r.txt", tmp_path / "h.txt", "--plain").check_refusal("r.txt has 3 lines, .*h.txt has 1")


def test_words_with_times(asr: Command, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stm, ctm = tmp_path / "r.stm", tmp_path / "h.ctm"
    stm.write_text(
        ";; as sclite's\n"
        "call A ann 0.0 2.0 <o,f0,female> hello {there / their}\n"
        "call B bob 0.5 2.5 hi ann\n"
        "call A ann 3.0 4.0 bye\n"
        "call A ann 4.0 5.0 ignore_time_segment_in_scoring\n"
    )
    ctm.write_text(
        "call A 0.1 0.4 hello 0.9\ncall A 0.6 0.4 there\ncall A 2.3 0.2 noise\ncall A 3.1 0.2 by\n"
        "call B 0.6 0.4 hi\ncall B 1.9 0.5 ann\n"
    )
    done = asr("score", stm, ctm, "--by-speaker")
    assert done.status == 0 and "1 of 6 words are outside of all segments" in caplog.text
    rows = {line.split()[0]: line.split() for line in done.out.splitlines() if line.startswith(("ann", "bob", "all"))}
    assert rows["ann"][1:3] == ["2", "3"] and rows["bob"][1:3] == ["1", "2"] and rows["all"][3] == "20.00"
    # by recording, or its channels
    texts = trn(tmp_path / "r.trn", {"call-A": "hello there noise by", "call-B": "hi ann"})
    assert asr("score", texts, ctm).out.split("all")[1].split()[2] == "0.00"
    assert asr("score", ctm, texts).out.split("all")[1].split()[2] == "0.00"
    ctm.write_text("call A 0.1 hello\n")
    asr("score", stm, ctm).check_refusal("h.ctm, line 1: .* is not: recording channel start duration word")
    assert "asr score ref.trn hyp.trn" in asr("score", "--help").out
