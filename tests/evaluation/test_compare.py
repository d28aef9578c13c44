"""Comparisons: figures by hand, symmetry, the listing, and files that do not belong together."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.data import manifest
from asr.errors import InputError
from asr.evaluation.compare import compare, compare_files
from asr.evaluation.hypotheses import Hypotheses, read, read_references

REFERENCES = {"u1": "the cat sat", "u2": "on the mat", "u3": "good day", "u4": "so so"}
FIRST = {"u1": "the cat sat", "u2": "on a mat", "u3": "good day", "u4": "so so so"}
SECOND = {"u1": "a cat sat", "u2": "on a hat", "u3": "good day", "u4": "so so"}
SPEAKERS = {"u1": "Ann", "u2": "Ann", "u3": "Bob", "u4": "Cy"}


def both(**options: Any) -> Any:
    return compare(
        Hypotheses("a", FIRST, REFERENCES, SPEAKERS), Hypotheses("b", SECOND, REFERENCES, SPEAKERS), **options
    )


def test_figures() -> None:
    summary = json.loads(json.dumps(both().summary(), allow_nan=False))
    assert (summary["a"]["name"], summary["a"]["wer"], summary["b"]["wer"]) == ("a", 0.2, 0.3)
    assert summary["difference"]["utterances"]["wer"]["value"] == pytest.approx(0.1)
    assert summary["difference"]["speakers"]["cer"]["blocks"] == 3
    assert summary["utterances"] == {"a_better": 2, "equal": 1, "b_better": 1}
    assert summary["right_in_one_only"] == {"mat": {"a": 1, "b": 0}, "the": {"a": 1, "b": 0}}
    assert summary["matched_pairs"]["segments"] == 3
    assert both(metric="cer").summary()["difference"]["utterances"].keys() == {"cer"}


def test_text() -> None:
    lines = both().text(worst=1).splitlines()
    assert lines[0] == "4 utterances of 3 speakers, 10 words"
    assert lines[1].split() == ["WER", "%", "sub", "del", "ins", "CER", "%"]
    assert lines[2].split()[:4] == ["A", "a", "20.00", "[0.00,"] and lines[4].split()[:2] == ["B-A", "10.00"]
    assert lines[5] == "[…]: 95 % confidence interval; bootstrap, 2000 samples of whole speakers"
    assert lines[6].startswith("p-value of equal WER: ") and "(matched pairs test of 3 segments)" in lines[6]
    assert lines[7:9] == [
        "utterances with fewer errors: 2 in A, 1 in B; equal: 1",
        "words right in A, wrong in B (: the reverse): mat 1:0, the 1:0",
    ]
    assert lines[9:] == [
        "",
        "greatest differences (below each error: which of the two is wrong)",
        "",
        "u4 (Cy): A 1 errors, B 0 errors in 2 words",
        "REF: so so **",
        "A:   so so so",
        "B:   so so **",
        "           A",
    ]
    same = Hypotheses("a", FIRST, REFERENCES)
    assert "p-value of equal WER: 1.000 (bootstrap over 4 utterances), – (matched" in compare(same, same).text()


texts = st.lists(st.text(alphabet="ab ", max_size=9), min_size=3, max_size=3)


@given(st.lists(st.tuples(texts, st.sampled_from(["x", "y", ""])), min_size=1, max_size=5))
@settings(max_examples=25, deadline=None)
def test_swapping_the_two_swaps_the_figures(rows: list[tuple[list[str], str]]) -> None:
    ids = [f"u{number}" for number in range(len(rows))]
    speakers = {id: speaker for id, (_, speaker) in zip(ids, rows, strict=True) if speaker}
    reference, first, second = ({id: row[side] for id, (row, _) in zip(ids, rows, strict=True)} for side in range(3))
    a, b = Hypotheses("a", first, reference, speakers), Hypotheses("b", second, reference, speakers)
    one, other = compare(a, b), compare(b, a)
    assert one.summary()["a"] == other.summary()["b"] and one.differing == [-d for d in other.differing]
    for drawn, differences in one.differences.items():
        for kind, difference in differences.items():
            swapped = other.differences[drawn][kind]
            assert difference.p == pytest.approx(swapped.p, nan_ok=True)
            assert difference.value == pytest.approx(-swapped.value, nan_ok=True)
    assert one.tokens_right == other.tokens_right[::-1]
    assert one.matched_pairs.p == pytest.approx(other.matched_pairs.p, nan_ok=True)
    shown = one.text(worst=len(rows))
    for id, errors in zip(ids, one.differing, strict=True):
        assert (f"\n{id}: " in shown or f"\n{id} (" in shown) == bool(errors)


# -- files


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return path


def test_the_same_hypotheses_in_every_format(tmp_path: Path) -> None:
    speech = tmp_path / "in" / "Ann" / "u1.wav"
    details = write(tmp_path / "d.jsonl", *({"id": id, "hypothesis": text, "words": {}} for id, text in FIRST.items()))
    nemo = write(tmp_path / "n.json", *({"id": i, "pred_text": t, "text": REFERENCES[i]} for i, t in FIRST.items()))
    trn = write(tmp_path / "t.trn", *(f"{text} ({id})" for id, text in FIRST.items()))
    kaldi = write(tmp_path / "text", *(f"{id} {text}" for id, text in FIRST.items()))
    ours = tmp_path / "transcripts.json"
    ours.write_text(json.dumps([{"source": f"{speech.parent}/{id}.wav", "text": t} for id, t in FIRST.items()]))
    references = [str(write(tmp_path / "ref.trn", *(f"{text} ({id})" for id, text in REFERENCES.items())))]
    for path in (details, nemo, trn, kaldi):
        assert read(path).texts == FIRST
    assert read(nemo).references == REFERENCES and not read(details).references
    for path in (details, nemo, trn, kaldi, ours):
        result = compare_files(path, trn, references)
        assert result.a.totals["wer"].errors == 2 and result.differing == [0, 0, 0, 0]
    assert compare_files(nemo, trn, normalization="english").differing == [0, 0, 0, 0]


def test_transcripts_are_found_by_the_path_of_the_recording(tmp_path: Path, tone_corpus: Any) -> None:
    corpus = tone_corpus(tmp_path / "corpus", ["ab", "cd"])
    audio = [manifest.audio_path(cut) for cut in manifest.read(corpus)]
    first = write(tmp_path / "a.jsonl", *({"source": path, "text": "ab"} for path in audio))
    second = write(tmp_path / "b.jsonl", *({"source": path, "text": "cd"} for path in audio))
    result = compare_files(first, second, [str(corpus)])
    assert result.differing == [1, -1] and result.differences["speakers"]["wer"].blocks == 2
    assert read_references([str(corpus)]).speakers == {"train0": "s0", "train1": "s1"}


@pytest.mark.parametrize(
    ("name", "lines", "message"),
    [
        (
            "a.trn",
            ["the cat (u1)", "on the mat u2"],
            r"a.trn, line 2: 'on the mat u2' does not end in the utterance's id",
        ),
        ("a.trn", ["a (u1)", "b (u1)"], "a.trn, line 2: utterance u1 is given twice"),
        ("a.jsonl", ['{"id": "u1", "hypothesis": "a"}', "{"], "a.jsonl, line 2: not JSON"),
        ("a.jsonl", ['{"hypothesis": "a"}'], "a.jsonl, line 1: no id, utt_id, utterance_id, source among the keys hyp"),
        ("a.jsonl", ['{"id": "u1"}'], "a.jsonl, line 1: no hypothesis, pred_text or text among the keys id"),
        ("a.jsonl", ['{"id": "u1", "hypothesis": 0.5}'], "line 1: hypothesis is 0.5, expected text"),
        ("a.jsonl", [], "a.jsonl: is empty; accepted is the JSON lines of asr evaluate --details"),
        ("a.txt", [], "a.txt: is empty"),
        ("a.txt", ["u1 a", "u9 b"], r"the utterances are not the same: .*b.trn lacks 1 of 2 \(u9\)"),
        (
            "a.jsonl",
            ['{"id": "u1", "text": "A b", "hypothesis": "a"}'],
            r"another reference .*'a b', not 'A b' \(--norm",
        ),
        ("a.txt", ["u1 a"], "1 of 1 utterances have no reference"),
    ],
)
def test_files_that_cannot_be_compared(tmp_path: Path, name: str, lines: list[str], message: str) -> None:
    first = write(tmp_path / name, *lines)
    other = write(tmp_path / "b.trn", "a (u1)")
    if "another" in message:
        other = write(tmp_path / "b.jsonl", {"id": "u1", "text": "a b", "hypothesis": "a"})
    with pytest.raises(InputError, match=message):
        compare_files(first, other)


def test_what_is_no_file_of_hypotheses(tmp_path: Path) -> None:
    path = write(tmp_path / "a.trn", "a (u1)")
    with pytest.raises(InputError, match=r"nothing.trn: no such file; accepted is"):
        compare_files(path, tmp_path / "nothing.trn")
    with pytest.raises(InputError, match="give the manifest to evaluate this model on, as third argument"):
        compare_files(path, tmp_path)
    with pytest.raises(InputError, match="metric='ser' is not one of wer, cer, per"):
        compare_files(path, path, [str(path)], metric="ser")  # type: ignore[arg-type]
    assert math.isnan(compare_files(path, path, [str(path)]).differences["utterances"]["wer"].p)
