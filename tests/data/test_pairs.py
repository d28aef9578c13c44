"""Files of pairs, and their batches."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr.data import pairs
from asr.data.pairs import PairDataset
from asr.errors import InputError
from asr.text.vocabulary import EOS, Vocabulary

SOURCE = Vocabulary.characters("abc", specials=())
TARGET = Vocabulary.phones(["ah", "b", "k"], specials=(EOS,))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    texts = {"a b": ["ah b", "ah"], "c": ["k"]}
    path = tmp_path / "new" / "pairs.tsv"
    assert pairs.write(texts, path) and not pairs.write(texts, path)
    assert path.read_text() == "a b\tah b\na b\tah\nc\tk\n"
    assert pairs.read(path) == texts
    assert pairs.summary(texts) == (2, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\tah\nb b\n", r"line 2: expected 'source TAB target', got 'b b'"),
        ("\tah\n", "line 1"),
        ("a\t\n", "line 1"),
        ("a\tah\tb\n", "line 1"),
        ("\n", "no pairs"),
    ],
)
def test_what_is_no_pair_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as raised:
        pairs.read(path)
    assert str(path) in str(raised.value)


def test_each_target_is_an_example_and_all_are_references() -> None:
    data = PairDataset({"ab": ["ah b", "ah k"], "c": ["k"]}, SOURCE, TARGET)
    batch = data.collate([data[0], data[(7, 1)], data[2]])
    assert batch.ids == ["ab", "ab", "c"]
    assert batch.inputs.tolist() == [[0, 1], [0, 1], [2, 0]] and batch.lengths.tolist() == [2, 2, 1]
    assert batch.labels.tolist() == [[0, 1, 2, 0], [0, 1, 3, 0], [0, 3, 0, 0]] and batch.ends.tolist() == [3, 3, 2]
    assert batch.references == [["ah b", "ah k"]] * 2 + [["k"]]
    assert batch.amounts == {"labels": 8}
    assert len(PairDataset({"ab": ["ah b", "ah k"], "c": ["k"]}, SOURCE, TARGET, first_only=True)) == 2


@pytest.mark.parametrize(
    ("texts", "message"), [({"ax": ["ah"]}, "utterance ax: .*'x'"), ({"a": ["zh"]}, "utterance a: .*'zh'")]
)
def test_what_a_vocabulary_does_not_know_is_named(texts: pairs.ParallelTexts, message: str) -> None:
    with pytest.raises(InputError, match=message):
        PairDataset(texts, SOURCE, TARGET)
