"""Compact models and their binary files: scores, the search, and files that are damaged."""

from __future__ import annotations

import gzip
import json
import lzma
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import InputError
from asr.lm import arpa, binary, compact, files
from asr.lm.compact import CompactNGram
from asr.lm.estimate import encode_sentences, kneser_ney
from asr.lm.ngram import ROOT, NGram, step
from asr.lm.prune import prune

texts = st.lists(st.lists(st.sampled_from("abcd"), max_size=7), min_size=3, max_size=30)


def estimate(sentences: list[list[str]], order: int, threshold: float = 0.0) -> NGram:
    model = kneser_ney(encode_sentences(sentences), order)
    return prune(model, threshold) if threshold else model


@settings(deadline=None, max_examples=60)
@given(
    sentences=texts,
    order=st.integers(1, 5),
    threshold=st.sampled_from([0.0, 1e-3, 0.1]),
    test=st.lists(st.lists(st.sampled_from("abcdx"), max_size=8), min_size=1, max_size=5),
)
def test_a_small_model_is_the_same(
    sentences: list[list[str]], order: int, threshold: float, test: list[list[str]]
) -> None:
    model = estimate(sentences, order, threshold)
    small = compact.compact(model)
    assert (small.words, small.order, small.ngram_counts) == (model.words, model.order, model.ngram_counts)
    np.testing.assert_array_equal(small.unigram_log_probs, model.unigram_log_probs)
    for sentence in test:
        for bos in True, False:
            np.testing.assert_array_equal(small.log_probs(sentence, bos=bos), model.log_probs(sentence, bos=bos))
    for name in "word", "children", "log_prob", "backoff":
        np.testing.assert_array_equal(getattr(small.expand().trie, name), getattr(model.trie, name))
    np.testing.assert_array_equal(small.expand().trie.suffix, model.trie.suffix)


@settings(deadline=None, max_examples=30)
@given(sentences=texts, order=st.integers(2, 4), seed=st.integers(0, 99))
def test_states_tell_as_much_as_the_history(sentences: list[list[str]], order: int, seed: int) -> None:
    model = estimate(sentences, order)
    small = compact.compact(model)
    state, compact_state = ROOT, ROOT
    for word in np.random.default_rng(seed).integers(0, len(model.words), 20):
        state, expected = step(model.trie, state, word)
        compact_state, actual = compact.step(small.trie, compact_state, word)
        assert actual == expected
        assert compact_state == max(compact.context_of(small.trie, state), ROOT)


@pytest.fixture(scope="module")
def large() -> NGram:
    """A model with more values than codes."""
    rng = np.random.default_rng(0)
    sentences = [[f"w{int(w)}" for w in np.minimum(rng.zipf(1.5, rng.integers(1, 12)), 900)] for _ in range(3000)]
    return estimate(sentences, 4)


def test_quantized_values_are_close(large: NGram, tmp_path: Path) -> None:
    small = compact.compact(large)
    again = small.expand()
    for name in "log_prob", "backoff":
        exact, quantized = getattr(large.trie, name), getattr(again.trie, name)
        assert len(np.unique(exact)) > 256
        assert np.sqrt(np.mean((exact - quantized) ** 2)) < 0.03
    sentence = ["w1", "w2", "w1", "w1", "zebra", "w3", "w1", "w7"]
    np.testing.assert_allclose(small.log_probs(sentence), again.log_probs(sentence), rtol=1e-12)
    np.testing.assert_allclose(small.log_probs(sentence), large.log_probs(sentence), atol=0.3)
    files.write(small, tmp_path / "lm.ngram")
    files.write(files.read(tmp_path / "lm.ngram"), tmp_path / "lm.arpa.gz")
    text = files.read(tmp_path / "lm.arpa.gz")
    assert isinstance(text, NGram) and text.words == large.words
    np.testing.assert_allclose(text.log_probs(sentence), small.log_probs(sentence), rtol=1e-5)


def test_bytes_and_time(large: NGram, tmp_path: Path) -> None:
    path = tmp_path / "lm.ngram"
    files.write(large, path)
    assert path.stat().st_size < 6.5 * sum(large.ngram_counts) + 20_000  # code books take 9 kB
    began = time.process_time()
    files.read(path)
    assert time.process_time() - began < 0.1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "lm.ngram"
    files.write(estimate([["ça", "va"], ["ça", "ne", "va", "pas"], ["va"]], 3), path)
    return path


def test_the_content_decides_not_the_name(path: Path, tmp_path: Path) -> None:
    expected = files.read(path).log_probs(["ça", "va"])
    for name, content in (
        ("lm.arpa", path.read_bytes()),
        ("lm.arpa.gz", gzip.compress(path.read_bytes())),
        ("lm", lzma.compress(path.read_bytes())),
    ):
        (tmp_path / name).write_bytes(content)
        model = files.read(tmp_path / name)
        assert isinstance(model, CompactNGram) and model.words[3:] == ("ça", "va", "ne", "pas")
        np.testing.assert_array_equal(model.log_probs(["ça", "va"]), expected)
    arpa.write(files.read(path).expand(), tmp_path / "text.ngram")
    assert isinstance(files.read(tmp_path / "text.ngram"), NGram)


def test_a_file_that_is_cut_short_is_refused(path: Path) -> None:
    content = path.read_bytes()
    for size in [*range(0, 400, 20), *range(400, len(content), 997), len(content) - 1]:
        path.write_bytes(content[:size])
        with pytest.raises(InputError, match=r"lm\.ngram[:,]"):
            files.read(path)
    with pytest.raises(InputError, match=rf"cut short: it has {len(content) - 1} of {len(content)} bytes"):
        files.read(path)


def test_a_changed_byte_is_noticed(path: Path) -> None:
    content = path.read_bytes()
    header = int.from_bytes(content[:8], "little") + 8
    messages = []
    changed_bytes = [*range(0, header, 3), *range(header, len(content), 211)]
    for at in changed_bytes:
        changed = bytearray(content)
        changed[at] ^= 0x15
        path.write_bytes(changed)
        try:
            files.read(path)
        except InputError as error:
            messages.append(str(error))
        else:
            assert at < header  # such as the name of an array's type written otherwise
    assert len(messages) > len(changed_bytes) * 0.9 and all("lm.ngram" in message for message in messages)
    changed = bytearray(content)
    changed[-5] ^= 1
    path.write_bytes(changed)
    with pytest.raises(InputError, match="damaged: its checksum is"):
        files.read(path)


def test_arrays_that_do_not_fit_are_refused(path: Path, tmp_path: Path) -> None:
    """Compiled functions do not look at indices: a file with a right checksum must not make them read elsewhere."""
    model = binary.read(path)
    changes: list[tuple[str, Any, str]] = [
        ("children", model.trie.children + 1, "children"),
        ("children", model.trie.children[::-1], "children"),
        ("suffix", model.trie.suffix + 1, "suffixes"),
        ("suffix", model.trie.suffix - 1, "suffixes"),
        ("contexts_before", model.trie.contexts_before + 1, "contexts"),
        ("is_context", ~model.trie.is_context, "contexts"),
        ("log_prob", model.trie.log_prob[:-1], "sizes"),
        ("word", model.trie.word[:-1], "sizes"),
        ("first", model.trie.first + 1, "orders"),
        ("first_context", model.trie.first_context[::-1], "contexts"),
    ]
    for name, value, what in changes:
        changed: dict[str, Any] = {name: np.ascontiguousarray(value)}
        bad = CompactNGram(model.words, model.order, model.trie._replace(**changed))
        binary.write(bad, tmp_path / "bad.ngram")
        with pytest.raises(InputError, match=rf"bad\.ngram: the n-gram model is damaged.*{what}"):
            files.read(tmp_path / "bad.ngram")
    binary.write(CompactNGram(model.words[:-1], model.order, model.trie), tmp_path / "bad.ngram")
    with pytest.raises(InputError, match=r"bad\.ngram: the n-gram model is damaged.*orders"):
        files.read(tmp_path / "bad.ngram")


def test_other_programs_read_the_arrays(path: Path) -> None:
    model = binary.read(path)
    for name, array in safetensors.numpy.load_file(path).items():
        expected = "\n".join(model.words).encode() if name == "words" else getattr(model.trie, name).tobytes()
        assert array.tobytes() == expected


def test_a_later_version_is_named(path: Path) -> None:
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"]["version"] = "2"
    new = json.dumps(header).encode().ljust(size)
    path.write_bytes(len(new).to_bytes(8, "little") + new + content[8 + size :])
    with pytest.raises(InputError, match="n-gram model of version 2; this program reads 1"):
        files.read(path)
