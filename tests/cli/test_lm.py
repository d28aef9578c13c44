"""asr lm: from text to an ARPA file, its perplexity, and a smaller one."""

from __future__ import annotations

import gzip
import lzma
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asr.lm import arpa, files
from asr.lm.compact import CompactNGram

Command = Callable[..., Any]
TEXT = "The cat sat.\nthe dog sat\n\nthe cat ran\nA cat saw the dog\nthe dog ran\nthe cat sat\n"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


def test_train_score_prune(asr: Command, tmp_path: Path, text: Path) -> None:
    model, small = tmp_path / "lm.arpa.gz", tmp_path / "small.arpa"
    done = asr("lm", "train", text, "--output", model, "--order", "3")
    assert done.status == 0
    assert re.match(r"20 words of text in [\d.]+ s; 10 1-grams, 1\d 2-grams, 1\d 3-grams: ", done.out)
    assert arpa.read(model).words == ("<unk>", "<s>", "</s>", "the", "cat", "sat", "dog", "ran", "a", "saw")
    scored = asr("lm", "score", model, text)
    found = re.fullmatch(
        r".*text.txt: perplexity ([\d.]+), ([\d.]+) without the 0 unknown of 26 words .*\n", scored.out
    )
    assert found and found[1] == found[2] and 1 < float(found[1]) < 8
    pruned = asr("lm", "prune", model, small, "--threshold", "0.01")
    before, after = map(int, re.search(r"3-grams (\d+) -> (\d+)", pruned.out).groups())  # type: ignore[union-attr]
    assert after < before
    worse = asr("lm", "score", small, text)
    assert float(re.search(r"perplexity ([\d.]+)", worse.out)[1]) > float(found[1])  # type: ignore[index]


def test_convert(asr: Command, tmp_path: Path, text: Path) -> None:
    model, binary, again = tmp_path / "lm.arpa", tmp_path / "lm.ngram", tmp_path / "again.arpa.xz"
    asr("lm", "train", text, "--output", model, "--order", "3")
    done = asr("lm", "convert", model, binary)
    assert re.fullmatch(rf"10 1-grams, 1\d 2-grams, 1\d 3-grams, {binary.stat().st_size} bytes: .*\n", done.out)
    assert asr("lm", "convert", binary, again).status == 0
    assert lzma.decompress(again.read_bytes()) == model.read_bytes()  # a small model is not rounded
    scores = [asr("lm", "score", path, text).out for path in (model, binary, again)]
    assert scores[0] == scores[1] == scores[2] != ""
    asr("lm", "prune", binary, tmp_path / "small.ngram", "--threshold", "0.01")
    assert isinstance(files.read(tmp_path / "small.ngram"), CompactNGram)
    asr("lm", "train", text, "--output", tmp_path / "trained.ngram", "--order", "3")
    assert files.read(tmp_path / "trained.ngram").ngram_counts == files.read(binary).ngram_counts
    asr("lm", "convert", binary, tmp_path / "twice.ngram")
    assert (tmp_path / "twice.ngram").read_bytes() == binary.read_bytes()
    cut = tmp_path / "cut.ngram"
    cut.write_bytes(binary.read_bytes()[:-1])
    asr("lm", "convert", cut, tmp_path / "x.arpa").check_refusal("cut.ngram: the n-gram model is cut short")
    assert not (tmp_path / "x.arpa").exists()


def test_mix(asr: Command, tmp_path: Path, text: Path) -> None:
    other, dev = tmp_path / "other.txt", tmp_path / "dev.txt"
    other.write_text("a bird flew\nthe bird sat\nthe bird flew home\n")
    dev.write_text("the cat sat\nthe dog ran\nthe bird sat\n")
    models = [tmp_path / "a.arpa", tmp_path / "b.ngram"]
    for source, model in zip((text, other), models, strict=True):
        asr("lm", "train", source, "--output", model, "--order", "2")
    done = asr("lm", "mix", *models, "--dev", dev, "--output", tmp_path / "mixed.arpa")
    lines = [re.fullmatch(r"([\d.]+) \S+, perplexity ([\d.]+|inf)", line) for line in done.out.splitlines()[:2]]
    weights = [float(line[1]) for line in lines if line]
    assert len(weights) == 2 and sum(weights) == pytest.approx(1, abs=1e-3) and weights[0] > weights[1] > 0
    last = re.fullmatch(r"13 1-grams, 2\d 2-grams, perplexity ([\d.]+): .*mixed.arpa", done.out.splitlines()[2])
    assert last is not None
    scored = re.search(r"perplexity ([\d.]+)", asr("lm", "score", tmp_path / "mixed.arpa", dev).out)
    assert scored is not None and float(scored[1]) == pytest.approx(float(last[1]), rel=0.1)
    again = asr("lm", "mix", *models, "--weights", "3 1", "--prune", "0.1", "--output", tmp_path / "mixed.ngram")
    assert again.out.startswith("0.7500 ") and files.read(tmp_path / "mixed.ngram").ngram_counts[1] < 20
    for options, message in (
        ([], "give a text"),
        (["--weights", "1"], "2 models and 1 weights"),
        (["--weights", "1 x"], "expected numbers"),
        (["--weights", "1 -1"], "use numbers above 0"),
        (["--weights", "0 0"], "use numbers above 0"),
        (["--dev", tmp_path / "none.txt"], "none.txt"),
    ):
        asr("lm", "mix", *models, *options, "--output", tmp_path / "x.arpa").check_refusal(message)
    asr("lm", "mix", models[0], "--dev", dev, "--output", tmp_path / "x.arpa").check_refusal("two models or more")
    assert not (tmp_path / "x.arpa").exists()


def test_prune_to_a_vocabulary(asr: Command, tmp_path: Path, text: Path) -> None:
    words = tmp_path / "words.dict"
    words.write_text("the DH AH0\nthe(2) DH IY0\ncat K AE1 T\nbird B ER1 D\n")
    asr("lm", "train", text, "--output", tmp_path / "lm.arpa", "--order", "2")
    done = asr("lm", "prune", tmp_path / "lm.arpa", tmp_path / "small.arpa", "--threshold", "0", "--vocabulary", words)
    assert re.fullmatch(r"2-grams 1\d -> \d: .*\n", done.out)
    assert arpa.read(tmp_path / "small.arpa").words[3:] == ("the", "cat")


def test_characters(asr: Command, tmp_path: Path, text: Path) -> None:
    assert asr("lm", "train", text, "--output", tmp_path / "c.arpa", "--characters", "--order", "2").status == 0
    assert set(arpa.read(tmp_path / "c.arpa").words) == {"<unk>", "<s>", "</s>", "|", *"thecatsdogrnw"}


def test_compressed_text_and_manifests(
    asr: Command, tmp_path: Path, text: Path, tone_corpus: Any, tone_texts: Any
) -> None:
    zipped, packed = tmp_path / "a.txt.gz", tmp_path / "a.txt.xz"
    zipped.write_bytes(gzip.compress(TEXT.encode()))
    packed.write_bytes(lzma.compress(TEXT.encode()))
    outputs = [tmp_path / f"{number}.arpa" for number in range(3)]
    for source, output in zip((text, zipped, packed), outputs, strict=True):
        assert asr("lm", "train", source, "--output", output).status == 0
    assert len({output.read_bytes() for output in outputs}) == 1
    manifest = tone_corpus(tmp_path, tone_texts(3))
    assert asr("lm", "train", manifest, "--output", tmp_path / "m.arpa").status == 0


def test_vocabulary(asr: Command, tmp_path: Path, text: Path) -> None:
    known = tmp_path / "words.txt"
    known.write_text("cat\ndog\nbird\n")
    asr("lm", "train", text, "--output", tmp_path / "v.arpa", "--vocabulary", known)
    assert arpa.read(tmp_path / "v.arpa").words[3:] == ("cat", "dog", "bird")
    known.write_text(";;; a dictionary\nCAT  K AE T\nCAT(2)  K AA T\n\nDOG  D AO G\nTOP-DOG  T AA P D AO G\n")
    asr("lm", "train", text, "--output", tmp_path / "d.arpa", "--vocabulary", known)
    assert arpa.read(tmp_path / "d.arpa").words[3:] == ("cat", "dog", "top")
    asr("lm", "train", text, "--output", tmp_path / "w.arpa", "--words", "2")
    assert arpa.read(tmp_path / "w.arpa").words[3:] == ("the", "cat")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "none.txt", "--output", "x.arpa"], "none.txt"),
        (["train", "text.txt", "--output", "x.arpa", "--cutoffs", "a"], "whole numbers"),
        (["train", "text.txt", "--output", "x.arpa", "--words", "3", "--vocabulary", "text.txt"], "give one"),
        (["train", "text.txt", "--output", "x.arpa", "--normalization", "german"], "neither english"),
        (["train", "broken.txt.gz", "--output", "x.arpa"], "broken.txt.gz: the compressed file is damaged"),
        (["train", "text.txt", "--output", "x.arpa", "--vocabulary", "empty.txt"], "empty.txt: there is no word in it"),
        (["score", "text.txt", "text.txt"], "not an ARPA file|is missing"),
        (["score", "none.arpa", "text.txt"], "none.arpa"),
    ],
)
def test_bad_input(
    asr: Command, tmp_path: Path, text: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "broken.txt.gz").write_bytes(gzip.compress(TEXT.encode() * 100)[:60])
    done = asr("lm", *arguments)
    assert done.status == 1 and re.search(message, done.err), done
    assert not (tmp_path / "x.arpa").exists()
