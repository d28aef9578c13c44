"""Files of vocabularies: round trips, damaged ones, those of earlier versions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import InputError
from asr.text.normalization import TextNormalizer
from asr.text.vocabulary import BLANK, SPECIALS, UNKNOWN, Vocabulary

ENGLISH = Vocabulary.characters(" 'abcdefghijklmnopqrstuvwxyz", TextNormalizer.english())


def test_the_former_name_of_an_option_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "vocabulary.txt"
    vocabulary = Vocabulary.characters(" abc", boundary_spaces=True)
    vocabulary.save(path)
    content = path.read_text(encoding="utf-8")
    path.write_text(content.replace('"boundary_spaces"', '"edges"'), encoding="utf-8")
    assert '"edges": true' in path.read_text(encoding="utf-8")
    assert Vocabulary.load(path) == vocabulary
    path.write_text(content.replace('"fold"', '"edges"'), encoding="utf-8")
    with pytest.raises(InputError, match=r"vocabulary\.txt:1: edges is the former name of boundary_spaces"):
        Vocabulary.load(path)


@given(st.sets(st.characters(), min_size=1), st.sampled_from(["error", "skip", "map"]))
def test_character_vocabularies_survive_their_file(
    tmp_path_factory: pytest.TempPathFactory, alphabet: set[str], unknown: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "characters.txt"
    tokens = (BLANK, UNKNOWN, *sorted(alphabet))
    vocabulary = Vocabulary("characters", tokens, TextNormalizer(replace={"a": "\u2028"}), unknown)
    vocabulary.save(path)
    assert Vocabulary.load(path) == vocabulary


@given(st.sets(st.text(min_size=1).filter(lambda text: text.split() == [text]), min_size=1))
def test_phone_vocabularies_survive_their_file(tmp_path_factory: pytest.TempPathFactory, phones: set[str]) -> None:
    path = tmp_path_factory.getbasetemp() / "phones.txt"
    vocabulary = Vocabulary.phones(sorted(phones - set(SPECIALS) | {"<space>", "\\x41", "#"}))
    vocabulary.save(path)
    assert Vocabulary.load(path) == vocabulary


def test_other_vocabularies_survive_their_file(pieces: Vocabulary, tmp_path: Path) -> None:
    for vocabulary in (pieces, ENGLISH, Vocabulary.phones("timit61", 39)):
        vocabulary.save(tmp_path / "vocabulary.txt")
        loaded = Vocabulary.load(tmp_path / "vocabulary.txt")
        assert loaded == vocabulary
        text = "h# ix" if vocabulary.kind == "phones" else "the cat"
        assert loaded.encode(text) == vocabulary.encode(text)


def test_the_file_can_be_read_by_people(tmp_path: Path) -> None:
    Vocabulary.characters(" a\u0301é\\").save(tmp_path / "vocabulary.txt")
    header, *tokens = (tmp_path / "vocabulary.txt").read_text("utf-8").splitlines()
    assert json.loads(header[2:])["kind"] == "characters"
    assert tokens == ["<blank>", "<space>", "a", "\\u0301", "é", "\\\\"]


def test_windows_line_ends_and_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "vocabulary.txt"
    ENGLISH.save(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert Vocabulary.load(path) == ENGLISH


HEADER = '# {"format": 1, "size": 3, "kind": "characters", "unknown": "error"}'


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ("", ":1: not a vocabulary"),
        ("<blank>\na\n", ":1: not a vocabulary"),
        ("# {kind\n", ":1: the header is not JSON"),
        ("# [1]\n", ":1: not a vocabulary"),
        ('# {"format": 2}\n', ":1: format 2"),
        ('# {"format": 1, "size": "3"}\n', ":1: size: '3'"),
        (f"{HEADER}\n<blank>\na\n", ":4: the file ends here"),
        (f"{HEADER}\n<blank>\na\nb", ":4: the file ends here"),
        (f"{HEADER}\n<blank>\n\na\n", ":3: token '' is not a single"),
        (f"{HEADER}\n<blank>\na\na\n", ":4: token 'a' is there twice"),
        (f"{HEADER}\n<blank>\na\nab\n", ":4: token 'ab'"),
        (f"{HEADER}\n<blank>\na\n\\q\n", ":4: "),
        (f"{HEADER}\n<blank>\na\n\\Uffffffff\n", ":4: "),
        (f"{HEADER}\n<blank>\na\nb\nc\n", ":5: "),
        (f"{HEADER}\n<blank>\na\nb\nYWJj\n", "with a SentencePiece model"),
        (HEADER.replace("characters", "letters") + "\n<blank>\na\nb\n", "letters"),
        (
            HEADER.replace("characters", "sentencepiece") + "\n<blank>\na\nb\nYWJj\n",
            "not a SentencePiece model",
        ),
        (HEADER.replace("error", "ignore") + "\n<blank>\na\nb\n", "ignore"),
        (HEADER.replace('"error"', '"error", "normalization": {"case": 3}') + "\n<blank>\na\nb\n", "case"),
    ],
)
def test_damaged_files(tmp_path: Path, content: str, where: str) -> None:
    path = tmp_path / "vocabulary.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as error:
        Vocabulary.load(path)
    assert str(error.value).startswith(str(path)) and where in str(error.value)


def test_missing_and_binary_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"vocabulary\.txt: cannot be read"):
        Vocabulary.load(tmp_path / "vocabulary.txt")
    (tmp_path / "vocabulary.txt").write_bytes(b"# \xff\xfe")
    with pytest.raises(InputError, match="not UTF-8"):
        Vocabulary.load(tmp_path / "vocabulary.txt")


def test_tokens_and_model_must_agree(pieces: Vocabulary, tmp_path: Path) -> None:
    path = tmp_path / "vocabulary.txt"
    pieces.save(path)
    lines = path.read_text("utf-8").split("\n")
    path.write_text("\n".join([*lines[:2], "Q", *lines[3:]]), encoding="utf-8")
    with pytest.raises(InputError, match="not the units"):
        Vocabulary.load(path)


def test_a_model_of_an_earlier_version_reads_texts_with_invisible_characters(tmp_path: Path) -> None:
    former = TextNormalizer(
        unicode="NFKC",
        case="lower",
        replace={**dict.fromkeys("’‘ʼ", "'"), **dict.fromkeys("-‐‑‒–—―−", " "), "…": " "},
        remove='.,;:!?"“”„«»()[]{}*_`¡¿',
    )
    Vocabulary.characters("abc '", former).save(tmp_path / "vocabulary.txt")
    lines = (tmp_path / "vocabulary.txt").read_text(encoding="utf-8")
    (tmp_path / "vocabulary.txt").write_text(lines.replace(', "language": "", "invisible": "keep"', ""))
    vocabulary = Vocabulary.load(tmp_path / "vocabulary.txt")
    assert vocabulary.normalize_for_scoring("A\u200bb ‹c› \u200ea\u200f b´c") == "ab c a b'c"
