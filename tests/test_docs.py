"""The pages in docs/ say what the program does now."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
from scripts import import_script

import asr

DOCS = Path(__file__).parents[1] / "docs"
LEGACY = Path(__file__).parent / "data" / "legacy"


def blocks(page: Path, language: str) -> str:
    """Return the code blocks of a page, one after another."""
    return "\n".join(re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.M))


@pytest.fixture(scope="module")
def settings_page() -> Any:
    """Import docs/settings.py."""
    return import_script(DOCS / "settings.py")


def test_the_page_of_settings_is_that_of_the_configuration_files(settings_page: Any) -> None:
    written = settings_page.PAGE.read_text(encoding="utf-8")
    assert written == settings_page.render(), "configs/ has changed: run python docs/settings.py"


def test_every_setting_of_the_configuration_files_is_on_the_page(settings_page: Any) -> None:
    page = settings_page.PAGE.read_text(encoding="utf-8")
    missing = []
    for path in settings_page.CONFIGS.glob("*/*.yaml"):
        for setting in settings_page.settings(path)[1]:
            key = re.sub(r"^heads\.\w+", "heads.HEAD", setting.key)
            if setting.value and key != "type" and f"| `{path.parent.name}.{key}` |" not in page:
                missing.append(f"{path.parent.name}.{setting.key}")
    assert not missing


def test_the_examples_of_the_python_api_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tones: Callable[..., Any],
) -> None:
    import soundfile

    recordings = tmp_path / "recordings"
    recordings.mkdir()
    for name, text in (("one", "ab cd"), ("two", "fe")):
        soundfile.write(recordings / f"{name}.wav", tones(text), 8000)
        (recordings / f"{name}.txt").write_text(text)
    shutil.copytree(LEGACY / "ctc_text", tmp_path / "runs" / "demo")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "docs"}
    exec(compile(blocks(DOCS / "python.md", "python"), "docs/python.md", "exec"), names)
    assert repr(names["recognizer"]).startswith("<Recognizer: heads text, phones")
    printed = capsys.readouterr().out
    assert "one" in printed
    assert (tmp_path / "one.srt").read_text().startswith("1\n")


def test_the_example_of_live_recognition_runs(capsys: pytest.CaptureFixture[str]) -> None:
    from asr import audio

    samples = audio.read(DOCS.parent / "recipes" / "english" / "clips" / "commission.opus", 16_000)
    names: dict[str, Any] = {"microphone": [samples[begin : begin + 8000] for begin in range(0, len(samples), 8000)]}
    exec(compile(blocks(DOCS / "live.md", "python"), "docs/live.md", "exec"), names)
    printed = capsys.readouterr().out
    assert printed.startswith("… This") and "Word(text='recommend'" in printed
    committed = [event for event in names["events"] if hasattr(event, "is_end")]
    assert committed[-1].is_end and committed[-1].text.endswith(".")


def test_the_examples_of_decoding_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from asr.lm import arpa
    from asr.lm.estimate import encode_sentences, kneser_ney

    texts = ["the cat sat", "the dog sat", "a cat", "the cat ran"]
    arpa.write(kneser_ney(encode_sentences([text.split() for text in texts]), 2), tmp_path / "lm.arpa")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "docs"}
    exec(compile(blocks(DOCS / "decoding.md", "python"), "docs/decoding.md", "exec"), names)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("the cot sat ") and "the cat sat" in printed
    comments = re.findall(r"^print\(.*?\)(?:  |\n)# (<.*)$", blocks(DOCS / "decoding.md", "python"), re.M)
    assert len(comments) == 2 and set(comments) <= set(printed)
    assert names["found"].text == "the cot sat" and names["second"].context == "the dog"
    assert [one.text for one in names["results"]] == ["the cot sat", "a dog"]
    assert names["aligned"].fits and printed[-1] == "0.4"


def test_our_calls_beside_those_of_other_decoders_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: Callable[..., Path]
) -> None:
    """The other packages are stand-ins; ours gets what theirs is given."""
    from asr.lm import arpa
    from asr.lm.estimate import encode_sentences, kneser_ney

    arpa.write(kneser_ney(encode_sentences([["ab", "ba"], ["a", "ab"]]), 2), tmp_path / "lm.arpa")
    text(tmp_path / "lexicon.txt", "ab a b |", "ba b a |")
    monkeypatch.chdir(tmp_path)
    labels = [*"-|abn"]
    scores = np.log(np.full((6, 5), 0.01) + 0.95 * np.eye(5)[[2, 3, 1, 3, 2, 0]])  # ab|ba-
    pieces = re.findall(r"^```py\n(.*?)^```", (DOCS / "decoding.md").read_text(encoding="utf-8"), re.DOTALL | re.M)
    given = {"logits": scores + 5, "list_of_logits": [scores + 5], "pool": None, "unigrams": ["ab", "ba"]}
    others = {"labels": labels, "tokens": labels, "emissions": scores[None], "lengths": [6]}
    for piece in pieces:
        names: dict[str, Any] = {**given, **others, "asr": asr, "pyctcdecode": MagicMock(), "torchaudio": MagicMock()}
        exec(compile(piece, "docs/decoding.md", "exec"), names)
        assert isinstance(names["decoder"], asr.Decoder)
        found = names["found"]
        assert (found[0] if isinstance(found, list) else found).text == "ab ba"
        if "pyctcdecode" in piece:
            assert names["text"] == "ab ba" and names["texts"] == ["ab ba"]
    assert len(pieces) == 2


def test_the_options_of_the_decoder_are_on_its_page() -> None:
    import inspect

    page = (DOCS / "decoding.md").read_text(encoding="utf-8")
    assert not [name for name in inspect.signature(asr.Decoder).parameters if name not in page]


def test_the_functions_that_the_page_of_the_python_api_names_exist() -> None:
    import importlib

    page = (DOCS / "python.md").read_text(encoding="utf-8")
    for name in re.findall(r"`(asr\.[\w.]+)\(", page):
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name
    for runner, methods in re.findall(r"\| `([A-Z]\w+)` \| (.*) \|", page):
        for method in re.findall(r"`(\w+)`", methods):
            assert hasattr(getattr(asr, runner), method), f"{runner}.{method}"
    assert {"load", "Recognizer"} <= set(dir(asr))
