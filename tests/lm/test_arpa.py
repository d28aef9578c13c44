from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
import threading
from pathlib import Path

import numpy as np
import pytest

from asr.errors import InputError
from asr.lm import arpa
from asr.lm.estimate import encode_sentences, kneser_ney

BY_HAND = """made by hand

\\data\\
ngram 1=5
ngram 2=4
ngram 3=2

\\1-grams:
-1.0\t<unk>
-99\t<s>\t-0.5
-0.6\t</s>
-0.4\ta\t-0.3
-0.7\tb\t-0.2

\\2-grams:
-0.2\t<s> a\t-0.1
-0.3\ta b\t-0.25
-0.9\ta a
-0.15\tb </s>

\\3-grams:
-0.05\t<s> a b
-0.11\ta b </s>

\\end\\
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "model.arpa"
    path.write_text(BY_HAND)
    return path


def scores(path: Path, text: str, **options: bool) -> list[float]:
    """Base-10 log-probabilities of the words of a text."""
    return [float(x) for x in arpa.read(path).log_probs(text.split(), **options) / np.log(10)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b", [-0.2, -0.05, -0.11]),  # all n-grams exist
        ("b", [-0.5 - 0.7, -0.15]),  # <s> b: back-off of <s>; b </s>
        ("a a", [-0.2, -0.1 - 0.9, -0.3 - 0.6]),  # <s> a a: back-off of <s> a; a a </s>: of a a none, of a
        ("a x a", [-0.2, -0.1 - 0.3 - 1.0, -0.4, -0.3 - 0.6]),  # unknown words leave no context
        ("", [-0.5 - 0.6]),
    ],
)
def test_backing_off_by_hand(path: Path, text: str, expected: list[float]) -> None:
    assert scores(path, text) == pytest.approx(expected, abs=1e-6)


def test_without_beginning_and_end(path: Path) -> None:
    assert scores(path, "a b", bos=False, eos=False) == pytest.approx([-0.4, -0.3], abs=1e-6)


def test_round_trip(tmp_path: Path) -> None:
    text = [line.split() for line in ("the cat sat", "the dog sat", "a cat ran", "the cat ran home", "a dog")]
    model = kneser_ney(encode_sentences(text), 4)
    for name in "model.arpa", "model.arpa.gz", "model.arpa.xz", "model.arpa.bz2":
        arpa.write(model, tmp_path / name)
        again = arpa.read(tmp_path / name)
        assert (again.words, again.order) == (model.words, 4)
        for expected, actual in zip(model.trie, again.trie, strict=True):
            np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)
    plain = (tmp_path / "model.arpa").read_bytes()
    for suffix, decompress in ((".gz", gzip.decompress), (".xz", lzma.decompress), (".bz2", bz2.decompress)):
        assert decompress((tmp_path / f"model.arpa{suffix}").read_bytes()) == plain


def test_prefixes_that_srilm_left_out(tmp_path: Path) -> None:
    path = tmp_path / "pruned.arpa"
    # "a b" is gone though "a b </s>" stays; the probability of "a b" is what backing off gives
    path.write_text(BY_HAND.replace("-0.3\ta b\t-0.25\n", "").replace("ngram 2=4", "ngram 2=3"))
    assert scores(path, "a b", bos=False) == pytest.approx([-0.4, -0.3 - 0.7, -0.11], abs=1e-6)
    assert scores(path, "a b b", bos=False) == pytest.approx([-0.4, -1.0, -0.2 - 0.7, -0.15], abs=1e-6)


def test_no_unknown_word(tmp_path: Path) -> None:
    path = tmp_path / "closed.arpa"
    path.write_text(BY_HAND.replace("-1.0\t<unk>\n", "").replace("ngram 1=5", "ngram 1=4"))
    assert scores(path, "x", bos=False, eos=False) == pytest.approx([-99])


@pytest.mark.parametrize("word", ["ne\u00a0pas", "\u3000", "\u0085", "\u2028x", "\u00a0"])
def test_white_space_of_unicode_belongs_to_words(path: Path, word: str) -> None:
    path.write_text(re.sub(r"\bb\b", word, BY_HAND.replace("by", "")), encoding="utf-8")
    model = arpa.read(path)
    assert word in model.words
    expected = [-0.2, -0.05, -0.11]
    assert [float(x) for x in model.log_probs(["a", word]) / np.log(10)] == pytest.approx(expected, abs=1e-6)
    arpa.write(model, path)
    assert arpa.read(path).words == model.words


def test_blanks_in_place_of_tabs_a_byte_order_mark_and_windows_line_ends(path: Path) -> None:
    expected = scores(path, "a b")
    path.write_bytes(b"\xef\xbb\xbf" + BY_HAND.replace("\t", "  ").replace("\n", " \r\n").encode())
    assert scores(path, "a b") == expected
    path.write_bytes(lzma.compress(path.read_bytes()))
    assert scores(path, "a b") == expected
    path.write_text("\ufeff" + BY_HAND.partition("\n")[2].lstrip(), encoding="utf-8")  # the mark before \\data\\
    assert scores(path, "a b") == expected


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"mmap lm http://kheafield.com/code format version 5\n\0\0\0\0\x0b\xed", "a KenLM binary"),
        (b"SRILM_BINARY_NGRAM_002\nmaxorder 3\n", "an SRILM binary"),
        (b"blmt 3 100 20 30\n", "an IRSTLM binary"),
        (b"\xd6\xfd\xb2\x7e\x06\0\0\0vector", "an OpenFst file"),
    ],
)
def test_binary_models_are_named(tmp_path: Path, head: bytes, kind: str) -> None:
    for content in head, gzip.compress(head):
        (tmp_path / "lm.binary").write_bytes(content)
        with pytest.raises(InputError, match=rf"lm\.binary: this is {kind}; give the ARPA file"):
            arpa.read(tmp_path / "lm.binary")


def test_a_pipe_is_read_once(path: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_text(BY_HAND))
    writer.start()
    assert arpa.read(tmp_path / "pipe").words == arpa.read(path).words
    writer.join()


def test_a_model_without_an_end_of_sentence_is_refused(path: Path) -> None:
    text = BY_HAND.partition("\\2-grams:")[0].replace("ngram 2=4\nngram 3=2\n", "") + "\\end\\\n"
    path.write_text(text.replace("-0.6\t</s>\n", "").replace("ngram 1=5", "ngram 1=4"))
    with pytest.raises(InputError, match=r"model\.arpa: </s> is not among the 1-grams"):
        arpa.read(path)
    path.write_text(text.replace("-99\t<s>\t-0.5\n", "").replace("ngram 1=5", "ngram 1=4"))
    assert scores(path, "a") == pytest.approx([-0.4, -0.3 - 0.6], abs=1e-6)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\\data\\", "data", "line .*not an ARPA file|is missing"),
        ("ngram 2=4", "ngram 3=4", r"line 5: 'ngram 3=4'; ngram 2="),
        ("-0.9\ta a", "-0.9\ta zebra", "line 18: 'zebra' is not among the 1-grams"),
        ("-0.9\ta a", "0.9\ta a", "line 18: a base-10 log-probability is at most 0"),
        ("-0.9\ta a", "x\ta a", "line 18: .* not a number: could not convert"),
        ("-0.9\ta a", "-0,9\ta a", "line 18: .* not a number"),
        ("-0.4\ta\t", "-0.4\tb\t", "line 13: 'b' is there twice"),
        ("-0.7\tb", "-0.7\t<UNK>", "line 13: '<UNK>' is there twice"),
        ("ngram 1=5", "ngram 1=6", r"line 15: \\2-grams: after 5 of the 6 1-grams that the header announces"),
        ("ngram 1=5", "ngram 1=4", r"line 13: '-0.7.*; \\2-grams: is expected after the 4 1-grams that the header ann"),
        ("ngram 3=2", "ngram 3=1", r"line 23: .*; \\end\\ is expected after the 1 3-grams that the header announces"),
        ("ngram 3=2", "", r"line 21: '\\\\3-grams:'; \\end\\ is expected"),
        ("ngram 3=2", "ngram 3=2\nngram 4=0", r"'\\\\end\\\\'; \\4-grams: is expected"),
        ("-0.9\ta a", "-0.9\ta", "line 18: a log-probability, 2 words"),
        ("-0.9\ta a", "-0.9\ta b", r"model\.arpa: the n-gram 'a b' occurs twice"),
        ("ngram 2=4", "ngram 2=5", "line 21: "),
        ("ngram 2=4", "ngram 2=²", "line 5: 'ngram 2=²'"),
        ("ngram 2=4", "ngram 2=999999999999", r"line \d+: "),
        ("-0.2\t<s> a\t-0.1", "-0.2\t<s> a\tnan", "line 16: a back-off weight is a number, not nan"),
        ("\\end\\", "", r"the file ends here; \\end\\ is missing"),
    ],
)
def test_damaged_files(path: Path, old: str, new: str, message: str) -> None:
    path.write_text(BY_HAND.replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        arpa.read(path)


@pytest.mark.parametrize(
    "other", ["hello world\n", "<!DOCTYPE html>\n<html>", "version https://git-lfs.github.com/\n", ""]
)
def test_other_texts_are_no_arpa_files(path: Path, other: str) -> None:
    path.write_text(other)
    with pytest.raises(InputError, match=r"model\.arpa, line \d: .*\\data\\ is missing: this is not an ARPA file"):
        arpa.read(path)


def test_line_ends_of_an_old_mac(path: Path) -> None:
    expected = scores(path, "a b")
    path.write_text(BY_HAND.replace("\n", "\r"), newline="")
    assert scores(path, "a b") == expected


def test_files_that_are_not_readable(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        arpa.read(tmp_path / "none.arpa")
    (tmp_path / "cut.arpa.gz").write_bytes(gzip.compress(BY_HAND.encode())[:100])
    with pytest.raises(InputError, match=r"cut\.arpa\.gz: the compressed file is damaged or cut short"):
        arpa.read(tmp_path / "cut.arpa.gz")
