"""Models that are part of the package are found by name and used where none is named."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import asr
from asr.errors import InputError
from asr.models import pretrained
from asr.models.directory import find, read_config


def test_names_are_model_directories() -> None:
    assert pretrained.DEFAULT in pretrained.names()
    for name in pretrained.names():
        assert find(name) == pretrained.FOLDER / name
        assert read_config(find(name))["task"]["type"]


def test_a_model_of_the_same_name_in_the_current_folder_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "english").mkdir()
    assert find("english") == pretrained.FOLDER / "english"  # nothing is in that folder
    (tmp_path / "english" / "config.yaml").touch()
    assert find("english") == Path("english")


def test_other_names_are_refused_with_those_that_exist() -> None:
    with pytest.raises(InputError, match="part of the package: english"):
        find("englisch")


def test_the_default_of_load_is_the_default_model() -> None:
    assert inspect.signature(asr.load).parameters["model"].default == pretrained.DEFAULT


def test_a_recording_is_transcribed_with_no_model_named() -> None:
    """A real recording of the demo: nearly all words are right."""
    said = Path("recipes/english/clips/commission.txt").read_text(encoding="utf-8")
    transcript = asr.load().transcribe("recipes/english/clips/commission.opus")
    assert asr.error_rate([said], [transcript.plain.text]) < 0.2
    assert transcript.text[0].isupper() and transcript.text[-1] in ".?"  # a sentence
    assert transcript.text == " ".join(word.text for word in transcript.words)
    assert all(0 <= word.start < word.end <= transcript.duration for word in transcript.words)
    assert all(0 <= word.confidence <= 1 for word in transcript.words)


def test_what_torch_takes_long_to_import_stays_out() -> None:
    """A cold start has no time for torch's compiler, which torch imports by itself for some operations."""
    program = """
import sys, asr
asr.load().transcribe("recipes/english/clips/commission.opus")
print(sorted({"torch._dynamo", "torch._inductor", "lightning"} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert run.stdout == "[]\n"
