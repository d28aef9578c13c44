"""Reports: totals and groups, JSON without NaN, the aligned listing, atomic files."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import InputError
from asr.evaluation.report import Report, evaluate_pairs
from asr.text.phones import fold
from asr.utils.json_files import write_json, write_jsonl

IDS = ["a1", "a2", "b1", "b2"]
REFERENCES = ["the cat sat on the mat", "hello world", "", "good"]
HYPOTHESES = ["the bat sat sat on mat", "hello world", "uh", "good"]
SPEAKERS = {"a1": "Ann", "a2": "Ann", "b1": "Bob", "b2": "Bob"}


@pytest.fixture
def report() -> Report:
    return evaluate_pairs(IDS, REFERENCES, HYPOTHESES, by=SPEAKERS)


def test_summary(report: Report) -> None:
    summary = report.summary()
    assert summary["wer"] == pytest.approx(4 / 9)  # the insertion into the empty reference counts
    assert summary["per"] is None and "phones" not in summary
    assert summary["words"] == {
        "reference": 9,
        "errors": 4,
        "hits": 7,
        "substitutions": 1,
        "deletions": 1,
        "insertions": 2,
    }
    assert (summary["utterances"], summary["utterances_with_errors"]) == (4, 2)
    low, high = summary["interval_95"]["wer"]
    assert 0 <= low <= summary["wer"] <= high
    assert set(summary["interval_95"]) == {"wer", "cer"} and summary["interval_over"] == "utterances"
    assert summary["groups"]["Ann"]["wer"] == pytest.approx(3 / 8)
    assert summary["groups"]["Bob"]["words"]["insertions"] == 1
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_summary_without_references() -> None:
    for report in (evaluate_pairs([], [], []), evaluate_pairs(["x"], [""], ["uh"])):
        summary = json.loads(json.dumps(report.summary(), allow_nan=False))
        assert summary["wer"] is None and summary["interval_95"] == {"wer": [None, None], "cer": [None, None]}
        assert "–" in report.table()
    assert evaluate_pairs([], [], []).worst() == ""


def test_phones_are_folded() -> None:
    report = evaluate_pairs(["u"], ["h# d ix q"], ["sil d ih"], ("per",), fold=fold)
    assert report.summary()["per"] == 0
    assert evaluate_pairs(["u"], ["h# d ix q"], ["sil d ih"], ("per",)).summary()["phones"]["errors"] == 3


def test_jsonl(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "new" / "utterances.jsonl"
    write_jsonl(path, [utterance.to_json() for utterance in report.utterances])
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [row["id"] for row in rows] == IDS
    assert rows[0]["reference"] == REFERENCES[0] and rows[0]["hypothesis"] == HYPOTHESES[0]
    assert rows[0]["group"] == "Ann" and rows[0]["wer"] == 0.5 and rows[0]["words"]["substitutions"] == 1
    assert rows[2]["wer"] is None and rows[2]["words"]["insertions"] == 1
    assert "NaN" not in path.read_text("utf-8")
    assert sum(row["words"]["errors"] for row in rows) == report.totals["wer"].errors


def test_a_failing_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "utterances.jsonl"
    path.write_text("old")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_jsonl(path, [{"rate": 0.5}, {"rate": math.nan}])
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_summary_file(report: Report, tmp_path: Path) -> None:
    write_json(tmp_path / "metrics.json", report.summary())
    assert json.loads((tmp_path / "metrics.json").read_text("utf-8")) == report.summary()


def test_table(report: Report) -> None:
    assert report.table().splitlines() == [
        "     utterances  words                  WER %  sub  del  ins                 CER %  wrong utt. %",
        "Ann           2      8    37.50 [0.00, 50.00]    1    1    1   21.21 [0.00, 31.82]         50.00",
        "Bob           2      1  100.00 [0.00, 100.00]    0    0    1   50.00 [0.00, 50.00]         50.00",
        "all           4      9   44.44 [0.00, 300.00]    1    1    2  24.32 [0.00, 150.00]         50.00",
        "[…]: 95 % confidence interval; bootstrap, 2000 samples of utterances",
    ]
    assert len(evaluate_pairs(IDS, REFERENCES, HYPOTHESES).table().splitlines()) == 3
    assert len(evaluate_pairs(IDS, REFERENCES, REFERENCES).table().splitlines()) == 2  # nothing to estimate


def test_intervals_over_speakers_in_any_order() -> None:
    rows = list(zip(IDS, REFERENCES, HYPOTHESES, strict=True))
    summaries = [evaluate_pairs(*zip(*order, strict=True), speakers=SPEAKERS).summary() for order in (rows, rows[::-1])]
    assert summaries[0]["interval_over"] == "speakers"
    assert summaries[0]["interval_95"] == summaries[1]["interval_95"]
    assert summaries[0]["interval_95"]["wer"] == [pytest.approx(3 / 8), pytest.approx(1)]  # all that two speakers say
    report = evaluate_pairs(IDS, REFERENCES, HYPOTHESES, by=SPEAKERS, speakers=SPEAKERS)
    assert report.table().splitlines()[-1] == (
        "[…]: 95 % confidence interval; bootstrap, 2000 samples of whole speakers or else utterances"
    )
    assert report.utterances[0].to_json()["speaker"] == "Ann"
    assert "groups" not in report.summary()["groups"]["Ann"]


def test_worst_is_aligned_and_wrapped(report: Report) -> None:
    assert report.worst(5, width=30).splitlines() == [
        "a1 (Ann): WER 50.00 % of 6 words: 1 sub, 1 del, 1 ins",
        "REF: the cat sat *** on the",
        "HYP: the bat sat sat on ***",
        "         S       I      D",
        "REF: mat",
        "HYP: mat",
        "",
        "b1 (Bob): WER – % of 0 words: 0 sub, 0 del, 1 ins",
        "REF: **",
        "HYP: uh",
        "     I",
    ]
    assert report.worst(1, width=30).count("REF") == 2


def test_worst_orders_by_errors_then_rate() -> None:
    report = evaluate_pairs("abc", ["x y z", "x", "x y z w"], ["q y z", "q", "q q z w"])
    heads = [line[0] for line in report.worst(9, 80).splitlines() if "WER" in line]
    assert heads == ["c", "b", "a"]


def test_worst_of_characters_has_no_gaps_and_shows_spaces() -> None:
    listing = evaluate_pairs(["u"], ["日本 x"], ["日語x"], ("cer",)).worst(1, 80).splitlines()
    assert listing[1:] == ["REF: 日本␣x", "HYP: 日語*x", "       S D"]


@given(
    st.lists(st.text(alphabet="ab é日", max_size=20), min_size=2, max_size=2),
    st.integers(10, 60),
    st.sampled_from(["wer", "cer"]),
)
def test_the_listing_has_both_texts(texts: list[str], width: int, kind: Any) -> None:
    listing = evaluate_pairs(["u"], texts[:1], texts[1:], (kind,)).worst(1, width).splitlines()
    if not listing:
        assert texts[0].split() == texts[1].split()
        return
    for side, text in zip(("REF:", "HYP:"), texts, strict=True):
        shown = "".join(line[5:] for line in listing[1:] if line.startswith(side))
        for filler in " *␣":
            shown, text = shown.replace(filler, ""), text.replace(filler, "")
        assert shown == text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["a"], ["x", "y"], ["x"]), "1 ids, 2 references, 1 hypotheses: not one of each"),
        ((["a", "a"], ["x", "y"], ["x", "y"]), "utterance a is given twice"),
        ((["a"], ["x"], ["x"], ()), "no error rate"),
        ((["a"], ["x"], ["x"], ("bleu",)), "'bleu' is not one of"),
    ],
)
def test_wrong_input(arguments: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        evaluate_pairs(*arguments)


def test_an_utterance_without_group() -> None:
    with pytest.raises(InputError, match="utterance a has no group"):
        evaluate_pairs(["a"], ["x"], ["x"], by={"b": "Bob"})
