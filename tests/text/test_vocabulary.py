"""Vocabularies: round trips, what is outside them, word spans."""

from __future__ import annotations

import contextlib
import logging
import pickle
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import InputError
from asr.text.normalization import TextNormalizer
from asr.text.outside import log_skipped
from asr.text.phones import TIMIT_61
from asr.text.vocabulary import BLANK, BOS, EOS, UNKNOWN, Vocabulary

ENGLISH = Vocabulary.characters(" 'abcdefghijklmnopqrstuvwxyz", TextNormalizer.english())
SENTENCES = ["the cat sat on the mat", "she sells sea shells", "a cat's tale", "on the shore she sat"]


# ---- characters


def test_blank_is_label_zero_and_texts_give_their_characters() -> None:
    vocabulary = Vocabulary.characters(["Bad cab", "dab"], TextNormalizer(case="lower"))
    assert vocabulary.tokens == (BLANK, " ", "a", "b", "c", "d")
    assert vocabulary.blank == 0 and vocabulary.eos is vocabulary.unk is None
    assert len(vocabulary) == 6


def test_boundary_spaces(tmp_path: Path) -> None:
    vocabulary = Vocabulary.characters(" abc", boundary_spaces=True, unknown="skip")
    assert vocabulary.encode("ab c") == [1, 2, 3, 1, 4, 1]
    assert vocabulary.spell("ab c") == [2, 3, 1, 4]
    assert vocabulary.encode("") == vocabulary.encode("z") == []
    assert vocabulary.decode(vocabulary.encode("ab c")) == "ab c"
    vocabulary.save(tmp_path / "vocabulary.txt")
    assert Vocabulary.load(tmp_path / "vocabulary.txt") == vocabulary
    with pytest.raises(InputError, match="boundary_spaces is for characters with a space among them"):
        Vocabulary.characters("abc", boundary_spaces=True)


def test_special_tokens() -> None:
    vocabulary = Vocabulary.characters("ab", specials=(BOS, EOS))
    assert (vocabulary.tokens.index(BOS), vocabulary.eos) == (0, 1)
    assert vocabulary.decode([0, 2, 3, 1]) == "ab"
    with pytest.raises(InputError, match="no blank"):
        _ = vocabulary.blank
    with pytest.raises(InputError, match="<pad>"):
        Vocabulary.characters("ab", specials=("<pad>",))


@given(st.text(alphabet=" 'abcxyz"))
def test_characters_round_trip(text: str) -> None:
    labels = ENGLISH.encode(text)
    assert 0 not in labels
    assert ENGLISH.decode(labels) == " ".join(text.split())


@given(st.lists(st.integers(0, len(ENGLISH) - 1)))
def test_word_spans_cover_their_letters(labels: list[int]) -> None:
    words = ENGLISH.words(labels)
    assert ENGLISH.decode(np.array(labels, dtype=np.int64)) == " ".join(word for word, _, _ in words)
    end = 0
    for word, first, last in words:
        assert end <= first < last <= len(labels)
        assert ENGLISH.decode(labels[first:last]) == word
        assert labels[first] not in (0, 1) and labels[last - 1] not in (0, 1)
        end = last


def test_word_spans_skip_blanks_and_spaces() -> None:
    a, b, space = (ENGLISH.tokens.index(c) for c in "ab ")
    assert ENGLISH.words([space, a, 0, b, space, space, b]) == [("ab", 1, 4), ("b", 6, 7)]
    assert ENGLISH.words([]) == ENGLISH.words([space]) == []


@pytest.mark.parametrize("label", [-1, len(ENGLISH)])
def test_a_label_outside_the_vocabulary_is_an_error(label: int) -> None:
    with pytest.raises(IndexError, match=f"label {label}"):
        ENGLISH.decode([label])


def test_unknown_characters_are_named_with_their_utterance() -> None:
    with pytest.raises(InputError) as error:
        ENGLISH.encode("café, 3 cafés", "spk1-0007")
    assert all(part in str(error.value) for part in ("spk1-0007", "'é' (U+00E9)", "'3' (U+0033)"))
    assert str(error.value).count("U+00E9") == 1


def test_skipped_characters_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    vocabulary = Vocabulary.characters(" ab", unknown="skip")
    texts = [("u1", "a & b&"), ("u2", "& a+")]
    with caplog.at_level(logging.WARNING):
        assert vocabulary.decode(vocabulary.encode("a & b&", "u1")) == "a b"
        assert vocabulary.encode("& a+") == vocabulary.encode("a")
        assert not caplog.records
        assert log_skipped(vocabulary, texts) == {"&": 3, "+": 1}
    assert [record.getMessage() for record in caplog.records] == [
        "skipped '&' (U+0026), which is outside the vocabulary, 3 times, first in utterance u1",
        "skipped '+' (U+002B), which is outside the vocabulary, once, first in utterance u2",
    ]
    assert vocabulary.skipped("ab") == [] and log_skipped(Vocabulary.characters(" ab"), texts) == {}


def test_many_skipped_characters_have_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    vocabulary = Vocabulary.characters(" ab", unknown="skip")
    with caplog.at_level("WARNING"):
        log_skipped(vocabulary, [("u1", "γδεζηθικλ"), ("u2", "λλμ")])
    assert len(caplog.messages) == 9
    assert caplog.messages[0] == "skipped 'λ' (U+03BB), which is outside the vocabulary, 3 times, first in utterance u1"
    assert caplog.messages[-1] == "skipped 2 more that are outside the vocabulary, 2 times in all"


@pytest.mark.parametrize("unknown", ["error", "skip", "map"])
def test_encoding_changes_nothing_in_the_vocabulary(unknown: str) -> None:
    vocabulary = Vocabulary.characters(" ab", unknown=unknown)
    state = dict(vars(vocabulary))
    with contextlib.suppress(InputError):
        vocabulary.encode("a & b&", "u1")
    # what has come is computed from the tokens: caches of `cached_property`
    assert {name: value for name, value in vars(vocabulary).items() if name in state} == state
    assert set(vars(vocabulary)) - set(state) <= {"_units"}


def test_map_writes_the_unknown_token() -> None:
    vocabulary = Vocabulary.characters(" ab", unknown="map")
    assert vocabulary.tokens[:2] == (BLANK, UNKNOWN) and vocabulary.unk == 1
    assert vocabulary.encode("aé b") == [3, 1, 2, 4]
    assert vocabulary.decode([3, 1, 2, 4]) == f"a{UNKNOWN} b"


def test_special_names_in_a_text_are_only_characters() -> None:
    vocabulary = Vocabulary.characters("<>abkln", specials=(BLANK, BOS))
    assert 0 not in vocabulary.encode(BLANK) and vocabulary.decode(vocabulary.encode(BLANK)) == BLANK


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Vocabulary.characters("aba"), "'a' is there twice"),
        (lambda: Vocabulary.characters("aB", TextNormalizer(case="lower")), r"'B' \(U\+0042\)"),
        (lambda: Vocabulary.characters([]), "needs one unit at least"),
        (lambda: Vocabulary.characters("ab", unknown="ignore"), "ignore"),
        (lambda: Vocabulary("characters", (BLANK, "ab")), "single character"),
        (lambda: Vocabulary("characters", (BLANK, "a"), fold=39), "for phones"),
        (lambda: Vocabulary("characters", (BLANK, "a"), unknown="map"), UNKNOWN),
        (lambda: Vocabulary("letters", (BLANK, "a")), "letters"),
        (lambda: Vocabulary("sentencepiece", (BLANK, "a")), "without a SentencePiece model"),
        (lambda: Vocabulary.phones("timit"), "timit61"),
        (lambda: Vocabulary.phones(["a b"]), "white space"),
        (lambda: Vocabulary.phones([UNKNOWN]), "special tokens"),
        (lambda: Vocabulary.phones(["a:"], fold=39), "'a:'"),
        (lambda: Vocabulary.phones("timit61", fold=40), "40"),
    ],
)
def test_impossible_vocabularies(make: Callable[[], Vocabulary], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


# ---- phones


def test_phone_vocabulary() -> None:
    vocabulary = Vocabulary.phones("timit61", fold=39)
    text = "h# dcl d ax q ix h#"
    labels = vocabulary.encode(text)
    assert len(vocabulary) == 62 and len(labels) == 7
    assert vocabulary.decode(labels) == text
    assert vocabulary.words(labels)[1] == ("dcl", 1, 2)
    assert vocabulary.normalize_for_scoring(text) == "sil sil d ah ih sil"
    with pytest.raises(InputError, match="utterance u7: phones outside the vocabulary: 'zz'"):
        vocabulary.encode("h# zz", "u7")


def test_scoring_keeps_what_the_network_cannot_write() -> None:
    assert ENGLISH.normalize_for_scoring("Café — 3!") == "café 3"
    mapped = Vocabulary.phones("timit61", fold=39, unknown="map")
    assert mapped.normalize_for_scoring(mapped.decode(mapped.encode("h# zz q ix"))) == f"sil {UNKNOWN} ih"


def test_phones_in_order_of_first_use() -> None:
    assert Vocabulary.phones(["b", "a", "b", "c", "a"]).tokens == (BLANK, "b", "a", "c")
    assert Vocabulary.phones(["a\u0303"]).encode("a\u0303") == [1]  # decomposed here and there


# ---- SentencePiece


def test_sentencepiece(pieces: Vocabulary) -> None:
    assert len(pieces) == 24 and pieces.tokens[0] == BLANK and pieces.unk is None
    for text in SENTENCES:
        labels = pieces.encode(text)
        assert pieces.decode(labels) == text
        words = pieces.words(labels)
        assert [word for word, _, _ in words] == text.split()
        assert words[0][1] == 0 and words[-1][2] == len(labels)
        assert all(left[2] == right[1] for left, right in pairwise(words))


def test_sentencepiece_unknown(pieces: Vocabulary) -> None:
    with pytest.raises(InputError, match=r"'é' \(U\+00E9\), '9' \(U\+0039\)"):
        pieces.encode("the é9 cat")
    skip = Vocabulary.sentencepiece(pieces.model, pieces.normalization, unknown="skip")
    assert skip.encode("the é9 cat") == skip.encode("the cat")
    assert skip.skipped("the é9 cat") == ["é", "9"]
    mapped = Vocabulary.sentencepiece(pieces.model, pieces.normalization, unknown="map")
    assert mapped.decode(mapped.encode("the é9 cat")) == f"the {UNKNOWN} cat"


def test_sentencepiece_byte_pieces_are_joined() -> None:
    tokens = (BLANK, "▁a", "<0xC3>", "<0xA9>", "▁b")
    vocabulary = Vocabulary("sentencepiece", tokens, model=b"not needed to decode")
    assert vocabulary.words([1, 2, 3, 4, 2]) == [("aé", 0, 3), ("b\ufffd", 3, 5)]


def test_sentencepiece_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="400 units"):
        Vocabulary.train_sentencepiece(SENTENCES, 400)
    with pytest.raises(InputError, match="model_type"):
        Vocabulary.train_sentencepiece(SENTENCES, 24, model_type="word2vec")
    with pytest.raises(InputError, match=r"gone\.model"):
        Vocabulary.sentencepiece(tmp_path / "gone.model")
    (tmp_path / "bad.model").write_bytes(b"rubbish")
    with pytest.raises(InputError, match=r"bad\.model"):
        Vocabulary.sentencepiece(tmp_path / "bad.model")


def test_sentencepiece_from_a_file_and_pickled(pieces: Vocabulary, tmp_path: Path) -> None:
    (tmp_path / "own.model").write_bytes(pieces.model)
    vocabulary = Vocabulary.sentencepiece(tmp_path / "own.model", pieces.normalization)
    assert vocabulary == pieces
    labels = vocabulary.encode("the cat")
    assert pickle.loads(pickle.dumps(vocabulary)).encode("the cat") == labels  # as data workers receive it


# ---- other


def test_equality() -> None:
    assert Vocabulary.characters("ab") == Vocabulary.characters("ab")
    assert Vocabulary.characters("ab") != Vocabulary.characters("ba")
    assert Vocabulary.characters("ab") != Vocabulary.characters("ab", TextNormalizer(case="lower"))


def test_nothing_heavy_is_imported() -> None:
    code = "import sys, asr.text.vocabulary; print({'torch', 'sentencepiece', 'numpy'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_real_phones_and_transcripts(shared_data: Path) -> None:
    phone_files = sorted((shared_data / "timit_sample").glob("**/*.phn"))
    if not phone_files:
        pytest.skip("the TIMIT sample is not in the data folder")
    used = {line.split()[2] for path in phone_files for line in path.read_text().splitlines()}
    assert used == set(TIMIT_61)
    for path in sorted((shared_data / "LibriSpeech" / "dev-clean").glob("**/*.trans.txt"))[:3]:
        for line in path.read_text("utf-8").splitlines():
            utterance, text = line.split(" ", 1)
            assert ENGLISH.decode(ENGLISH.encode(text, utterance)) == text.lower()


def test_what_looks_like_an_apostrophe_or_like_nothing_is_never_outside_the_vocabulary() -> None:
    vocabulary = Vocabulary.characters("abc '")
    assert vocabulary.decode(vocabulary.encode("a\u200bb \u200e b´c\u00ad’c\ufeff")) == "ab b'c'c"
    assert Vocabulary.characters("ab´\u200b").encode("a´\u200b") == [1, 3, 4]
    with pytest.raises(InputError, match=r"'´' \(U\+00B4\)|\"'\" \(U\+0027\)"):
        Vocabulary.characters("ab").encode("a´b")
    phones = Vocabulary.phones(["a", "b"])
    assert phones.encode("a \u200bb") == [1, 2]
