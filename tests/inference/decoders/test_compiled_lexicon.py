"""Compiled dictionaries: the same search as with the dictionary, and files that are damaged."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asr.errors import InputError
from asr.inference.decoders.factory import compile_lexicon, lexicon_for, make_decoder
from asr.inference.decoders.models import WordSource
from asr.lm import files
from asr.lm.estimate import encode_sentences, kneser_ney
from asr.text.compiled_lexicon import FORMAT, CompiledLexicon
from asr.text.lexicon import read_lexicon
from asr.text.vocabulary import Vocabulary

TEXT = ["the cat sat", "the dog sat", "a cat", "a top dog", "yeti"]
DICTIONARY = (
    "the DH AH0\nthe(2) DH IY0\ncat K AE1 T\ndog D AO1 G\nzebra Z IY1 B R AH0\nsat S AE1 T\na AH0\na(2) EY1\n"
    "top T AA1 P\n"
)
PHONES = ["aa", "ae", "ah", "ao", "d", "dh", "ey", "g", "iy", "k", "p", "s", "t"]


@pytest.fixture
def lm(tmp_path: Path) -> Path:
    files.write(kneser_ney(encode_sentences([line.split() for line in TEXT]), 2), tmp_path / "lm.ngram")
    return tmp_path / "lm.ngram"


@pytest.fixture
def dictionary(tmp_path: Path) -> Path:
    (tmp_path / "words.dict").write_text(DICTIONARY)
    return tmp_path / "words.dict"


@pytest.fixture
def compiled(tmp_path: Path, lm: Path, dictionary: Path) -> Path:
    assert compile_lexicon(dictionary, lm, tmp_path / "words.lexicon") == (6, 7)
    return tmp_path / "words.lexicon"


def test_pronunciations(compiled: Path, dictionary: Path) -> None:
    lexicon, plain = read_lexicon(compiled), read_lexicon(dictionary)
    assert isinstance(lexicon, CompiledLexicon)
    assert list(lexicon) == ["the", "cat", "sat", "dog", "a", "top"] and len(lexicon) == 6
    assert "zebra" not in lexicon and lexicon.get("zebra") is None  # not a word of the model
    assert all(sorted(lexicon[word]) == sorted(plain[word]) for word in lexicon)


@pytest.mark.parametrize("phones", [PHONES, [*PHONES[::-1]], PHONES[:-1], ["aa", *PHONES[1:], "zh"]])
def test_the_search_is_the_same(
    compiled: Path, dictionary: Path, lm: Path, phones: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever the order of the network's phones, and if it lacks some."""
    vocabulary = Vocabulary.phones(phones)
    model = files.read(lm)
    expected, actual = (WordSource(vocabulary, model, read_lexicon(path)).base for path in (dictionary, compiled))
    assert actual is not None and expected is not None
    assert tuple(actual.words) == tuple(expected.words)
    for name in "arc_offsets", "arc_label", "arc_target", "arc_word":
        np.testing.assert_array_equal(getattr(actual.lexicon, name), getattr(expected.lexicon, name))
    assert caplog.messages[0] == caplog.messages[1] and "'yeti'" in caplog.messages[0]
    log_probs = np.log(np.random.default_rng(0).dirichlet(np.ones(len(vocabulary)), (1, 12)))
    found = []
    for path in dictionary, compiled:
        options = {"type": "beam", "lm": lm, "lexicon": path, "beam": 50, "hotwords": "dog=1, top dog=2"}
        decoder = make_decoder(vocabulary, options)
        ((best, *_),) = decoder.search(log_probs, np.array([12]))
        found.append((decoder.text(best), best.score, best.words))
    assert found[0] == found[1]


def test_another_language_model_takes_the_words_that_it_has(compiled: Path, dictionary: Path, tmp_path: Path) -> None:
    files.write(kneser_ney(encode_sentences([["cat", "sat"]]), 1), tmp_path / "other.arpa")
    other = files.read(tmp_path / "other.arpa")
    for model in other, None:
        expected, actual = (
            WordSource(Vocabulary.phones(PHONES), model, read_lexicon(path)).base for path in (dictionary, compiled)
        )
        assert actual is not None and expected is not None
        assert set(actual.words) == set(expected.words) - {"zebra"}


def test_content_decides_not_the_name(compiled: Path, tmp_path: Path) -> None:
    (tmp_path / "a.dict.gz").write_bytes(gzip.compress(compiled.read_bytes()))
    assert dict(read_lexicon(tmp_path / "a.dict.gz")) == dict(read_lexicon(compiled))
    assert list(lexicon_for([], tmp_path / "a.dict.gz")) == list(read_lexicon(compiled))
    with pytest.raises(InputError, match="has no stress"):
        read_lexicon(compiled, keep_stress=True)


def test_damaged_files(compiled: Path) -> None:
    content = compiled.read_bytes()
    for size in range(16, len(content), 29):
        compiled.write_bytes(content[:size])
        with pytest.raises(InputError, match=r"words\.lexicon[:,]"):
            read_lexicon(compiled)
    for at in range(len(content) - 100, len(content), 7):
        changed = bytearray(content)
        changed[at] ^= 0x15
        compiled.write_bytes(changed)
        with pytest.raises(InputError, match="damaged: its checksum is"):
            read_lexicon(compiled)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda a: a | {"arc_offsets": a["arc_offsets"] + 1}, "arcs"),
        (lambda a: a | {"arc_target": a["arc_target"][:-1]}, "ValueError|IndexError|arcs"),
        (lambda a: a | {"arc_label": a["arc_label"] + 99}, "phones"),
        (lambda a: a | {"arc_word": a["arc_word"] + 99}, "words|nodes|Error"),
        (lambda a: a | {"arc_target": a["arc_target"] * 0}, "nodes"),
        (lambda a: a | {"phones": a["phones"][::-1].copy()}, "phones"),
    ],
)
def test_arrays_that_do_not_fit(compiled: Path, change: Callable[[Any], Any], what: str) -> None:
    """Compiled functions do not look at indices: a file with a right checksum must not make them read elsewhere."""
    FORMAT.write(change(FORMAT.read(compiled)), compiled)
    with pytest.raises(InputError, match=rf"the compiled dictionary is damaged: .*({what})"):
        read_lexicon(compiled)


def test_nothing_in_common(dictionary: Path, tmp_path: Path) -> None:
    files.write(kneser_ney(encode_sentences([["CAT"]]), 1), tmp_path / "upper.ngram")
    with pytest.raises(InputError, match="none of the words of"):
        compile_lexicon(dictionary, tmp_path / "upper.ngram", tmp_path / "x")
