"""`asr punctuation` has a recognizer write sentences; `asr transcribe` writes them, or bare words."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from asr.data import manifest
from asr.models import store
from asr.models.directory import read_config
from asr.tasks.ctc import CTCTask

Command = Callable[..., Any]


@pytest.fixture
def model(tone_run: Path, tmp_path: Path) -> Path:
    shutil.copytree(tone_run / "model", tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def book(tmp_path: Path, tone_texts: Any) -> Path:
    """Each utterance of the corpus as a sentence, many times."""
    sentences = " ".join(f"{text.capitalize()}." for text in tone_texts(8))
    (tmp_path / "book.txt").write_text(f"{sentences}\n\n" * 20)
    return tmp_path / "book.txt"


@pytest.fixture
def writing(model: Path, book: Path, asr: Command) -> Path:
    outcome = asr("punctuation", book, "--model", model, "--numbers", "english", "--held-out", book)
    assert outcome.status == 0, outcome.err
    assert "now writes punctuation" in outcome.out and "| ends of sentences | 100.0 | 100.0 | 100.0 |" in outcome.out
    return model


def test_sentences_are_written_unless_plain(asr: Command, writing: Path, tone_run: Path, tone_texts: Any) -> None:
    file, text = tone_run / "corpus" / "train0.wav", tone_texts(1)[0]
    assert asr("transcribe", file, "--model", writing).out == f"{text.capitalize()}.\n"
    assert asr("transcribe", file, "--model", writing, "--digits").out == f"{text.capitalize()}.\n"
    assert asr("transcribe", file, "--model", writing, "--plain").out == f"{text}\n"
    words = [
        line.split()[4] for line in asr("transcribe", file, "--model", writing, "--format", "ctm").out.splitlines()
    ]
    assert words == text.split()
    found = json.loads(asr("transcribe", file, "--model", writing, "--format", "json", "--nbest", "2").out)
    assert found["text"] == " ".join(word["text"] for word in found["words"]) == f"{text.capitalize()}."
    assert " ".join(word["text"] for word in found["spoken"]) == text
    assert all(alternative["text"].endswith(".") for alternative in found["alternatives"])


def test_error_rates_are_those_of_bare_words(asr: Command, writing: Path, tone_run: Path, tmp_path: Path) -> None:
    data = tone_run / "corpus" / "train.jsonl"
    assert "0.00" in asr("evaluate", writing, data).out.splitlines()[2]
    files = sorted((tone_run / "corpus").glob("*.wav"))
    (tmp_path / "found.json").write_text(asr("transcribe", *files, "--model", writing, "--format", "json").out)
    outcome = asr("compare", tmp_path / "found.json", tmp_path / "found.json", data)
    assert outcome.status == 0 and "0.00" in outcome.out, outcome.err


def test_speech_with_punctuation_teaches_pauses(
    asr: Command, writing: Path, book: Path, tone_run: Path, tmp_path: Path
) -> None:
    cuts = manifest.read(tone_run / "corpus" / "train.jsonl")
    asr("punctuation", book, "--model", writing, "--speech", tone_run / "corpus" / "train.jsonl").check_refusal(
        "no commas or full stops"
    )
    for cut, signs in zip(cuts, [". ", ", "] * 4, strict=True):
        words = manifest.text(cut).split()
        cut.supervisions[0].text = signs.join(word.capitalize() if signs == ". " else word for word in words) + "."
    manifest.write(cuts, tmp_path / "punctuated.jsonl")
    outcome = asr("punctuation", book, "--model", writing, "--speech", tmp_path / "punctuated.jsonl")
    assert outcome.status == 0 and "with pauses, fitted on it" in outcome.out, outcome.err


def test_a_copy_of_the_model_writes_too(writing: Path, tmp_path: Path) -> None:
    config = read_config(writing)
    assert config["writing"] == {"punctuation": "punctuation.safetensors", "numbers": "english"}
    config["writing"]["punctuation"] = str(writing / "punctuation.safetensors")
    store.save(store.load(writing, CTCTask), tmp_path / "copy", config)
    assert read_config(tmp_path / "copy")["writing"] == read_config(writing)["writing"]
    copied, original = (folder / "punctuation.safetensors" for folder in (tmp_path / "copy", writing))
    assert copied.read_bytes() == original.read_bytes()


def test_what_a_model_cannot_write_is_refused(asr: Command, model: Path, tone_run: Path) -> None:
    file = tone_run / "corpus" / "train0.wav"
    asr("transcribe", file, "--model", model, "--digits").check_refusal(
        "how numbers are written with digits is not said"
    )
    for writing, message in (
        ({"punctuation": "none.safetensors"}, r"none\.safetensors: cannot be read"),
        ({"numbers": "french"}, "writing.numbers"),
        ({"digit": "english"}, "digit"),
        ("english", "writing is not a mapping"),
    ):
        config = yaml.safe_load((model / "config.yaml").read_text())
        (model / "config.yaml").write_text(yaml.safe_dump(config | {"writing": writing}))
        asr("transcribe", file, "--model", model).check_refusal(message)


def test_texts_that_teach_nothing_are_refused(asr: Command, model: Path, tmp_path: Path) -> None:
    (tmp_path / "bare.txt").write_text("no punctuation at all\n")
    asr("punctuation", tmp_path / "bare.txt", "--model", model).check_refusal("no sentences")
    asr("punctuation", tmp_path / "none.txt", "--model", model).check_refusal(r"none\.txt")
    asr("punctuation", tmp_path / "bare.txt", "--model", tmp_path / "none").check_refusal("none")
    assert "writing" not in read_config(model)
