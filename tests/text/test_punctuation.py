from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from asr.errors import InputError
from asr.evaluation.punctuation import PunctuatedSpeech
from asr.text.punctuated import MARKS, read_paragraph
from asr.text.punctuation import GAP, Pauses, Punctuator, Table, hash_words, ngram_rows, sentence_rows
from asr.training import punctuation as training

TEXT = "I saw Mr. Brown in London, and he left. Did you see him? We like tea, said Anna, but not coffee. " * 15


@pytest.fixture(scope="module")
def punctuator() -> Punctuator:
    """A model of a text of four sentences."""
    words = read_paragraph(TEXT)
    forms: Counter[tuple[str, str]] = Counter()
    training.count_forms(forms, words)
    return training.train_punctuator([training.encode(words)], forms)


def restored(punctuator: Punctuator, text: str, pauses: list[float] | None = None, is_final: bool = True) -> str:
    return " ".join(form + mark for form, mark in punctuator.restore(text.split(), pauses, is_final))


def test_marks_and_capitals_come_back(punctuator: Punctuator) -> None:
    bare = "did you see him we like tea said anna but not coffee i saw mister brown in london and he left"
    expected = "Did you see him? We like tea, said Anna, but not coffee. I saw Mr. Brown in London, and he left."
    assert restored(punctuator, bare) == expected
    assert punctuator.forms == {"mister": "Mr."}
    assert restored(punctuator, "") == ""
    assert restored(punctuator, "unheard") == "Unheard."


def test_the_end_of_a_part_has_no_mark(punctuator: Punctuator) -> None:
    assert restored(punctuator, "did you see him we like", is_final=False) == "Did you see him? We like"


def test_a_file_gives_the_same_model(punctuator: Punctuator, tmp_path: Path) -> None:
    punctuator.save(tmp_path / "p.safetensors")
    again = Punctuator.load(tmp_path / "p.safetensors")
    words = [word.word for word in read_paragraph(TEXT)]
    assert again.restore(words) == punctuator.restore(words) and again.pauses is None
    assert (tmp_path / "p.safetensors").stat().st_size < 1e6


def test_other_files_are_refused(punctuator: Punctuator, tmp_path: Path) -> None:
    path = tmp_path / "p.safetensors"
    with pytest.raises(InputError, match=r"p\.safetensors: cannot be read"):
        Punctuator.load(path)
    path.write_bytes(b"x")
    with pytest.raises(InputError, match=r"p\.safetensors: cannot be read"):
        Punctuator.load(path)
    save_file({"a": np.zeros(1)}, path)
    with pytest.raises(InputError, match=r"p\.safetensors: no model of punctuation"):
        Punctuator.load(path)
    save_file({"marks.weights": np.zeros(1)}, path, {"format": "asr punctuation 1", "forms": "{}"})
    with pytest.raises(InputError, match=r"p\.safetensors: a damaged model"):
        Punctuator.load(path)


def test_scores_are_sums_of_the_weights_of_ngrams() -> None:
    hashes = hash_words(["the", "same", "words", "again", "the", "same"])
    rows = ngram_rows(hashes, GAP, 10, 0)
    table = Table(np.random.default_rng(0).integers(-9, 9, (1024, 2), np.int8), np.array([0.5, 2.0]), np.ones(2))
    expected = [
        [1 + 0.5 * sum(table.weights[r, 0] for r in row), 1 + 2 * sum(table.weights[r, 1] for r in row)] for row in rows
    ]
    np.testing.assert_allclose(table.scores(rows), expected)
    flat, offsets = sentence_rows(hashes, np.array([0, 4]), 10)
    expected = [1 + 0.5 * table.weights[flat[b:e], 0].sum(dtype=int) for b, e in itertools.pairwise(offsets)]
    np.testing.assert_allclose(table.scores(flat, offsets)[:, 0], expected)
    # the same words around a gap give the same rows, others do not
    assert (rows[0, :3] == rows[4, :3]).all() and rows[0, 3] != rows[4, 3]
    alone = ngram_rows(hash_words(["again", "the", "same"]), GAP, 10, 0)
    assert alone[1, 0] == rows[4, 0] and alone[1, 3] == rows[4, 3] and alone[0, 3] != rows[3, 3]


def silent(forms: dict[str, str] | None = None) -> Punctuator:
    """A model that says nothing of any text."""
    flat = Table(np.zeros((16, 2), np.int8), np.ones(2), np.full(2, -2.0))
    one = Table(np.zeros((16, 1), np.int8), np.ones(1), np.zeros(1))
    return Punctuator(flat, one, one, forms or {})


def test_pauses_are_learned_from_speech() -> None:
    punctuator, words = silent(), read_paragraph(TEXT)
    random = np.random.default_rng(3)
    lengths = {"": 0.03, ",": 0.25, ".": 0.9, "?": 0.9}
    pauses = [abs(random.normal(lengths[MARKS[word.mark]], 0.02)) for word in words[:-1]]
    learned = training.fit_pauses(punctuator, [PunctuatedSpeech(words, pauses)])
    comma, stop = learned.by_range.T
    relative = learned.relative(np.array(pauses))
    of_commas = [seconds for seconds, word in zip(relative, words, strict=False) if MARKS[word.mark] == ","]
    assert comma.argmax() == np.searchsorted(learned.edges, np.median(of_commas))
    assert stop.argmax() > comma.argmax()
    heard = silent()
    heard.pauses = learned
    unknown = "blue birds sing red dogs bark"
    assert restored(heard, unknown, [0.0, 0.0, 0.9, 0.0, 0.0]) == "Blue birds sing. Red dogs bark."
    assert restored(heard, unknown, [0.0] * 5) == "Blue birds sing red dogs bark."
    assert restored(heard, unknown) == restored(punctuator, unknown)


def test_pauses_count_in_proportion_to_those_of_the_recording() -> None:
    pauses = np.array([0.0, 0.05, 0.3, 0.9] * 200)
    np.testing.assert_allclose(Pauses.relative(3 * pauses), Pauses.relative(pauses), rtol=0.05)
    np.testing.assert_allclose(Pauses.relative(3 * pauses[4:]), Pauses.relative(3 * pauses)[4:], rtol=0.01)
    short = Pauses.relative(np.array([0.1, 2.0]))
    assert short[0] < 0.1 and 1.5 < short[1] < 2.0  # one long pause says little
    assert Pauses.relative(np.array([0.1])) == 0.1 and not len(Pauses.relative(np.zeros(0)))


def test_texts_without_punctuation_are_refused() -> None:
    with pytest.raises(InputError, match="no sentences"):
        training.train_punctuator([training.encode(read_paragraph("no full stops here"))], Counter())


@given(
    st.lists(st.sampled_from(["i", "did", "you", "tea", "anna", "mister", "x", "1", "'tis", "ünter"])), st.booleans()
)
def test_the_words_stay_whatever_they_are(words: list[str], is_final: bool) -> None:
    found = silent({"mister": "Mr."}).restore(words, [0.0] * (len(words) - 1), is_final)
    assert [{"Mr.": "mister"}.get(form, form.lower()) for form, _ in found] == words
    assert {mark for _, mark in found[:-1]} <= {""} and [mark for _, mark in found[-1:]] == [
        "." if is_final else ""
    ] * bool(words)
