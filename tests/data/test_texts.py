"""Texts for language models, from text files and manifests."""

from __future__ import annotations

import gzip
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from sounds import save, tone

from asr.data.texts import read_document, read_texts
from asr.errors import InputError


def test_lines_of_text_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("é\r\n\nb".encode())
    (tmp_path / "a.gz").write_bytes(gzip.compress("é\n\nb".encode()))
    for name in ("a.txt", "a.gz"):
        assert list(read_texts(tmp_path / name)) == ["é", "", "b"]
        assert read_document(tmp_path / name) == "é\n\nb"
    (tmp_path / "b.txt").write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"b\.txt, line 1: not UTF-8 text"):
        list(read_texts(tmp_path / "b.txt"))


def test_content_tells_a_manifest_from_text(tmp_path: Path) -> None:
    records = [{"audio_filepath": "a.wav", "text": text, "id": text} for text in ("a b", "c")]
    save(tmp_path, "wav16", tone(8000, 0.1), 8000, "a")
    (tmp_path / "m.json").write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    assert list(read_texts(tmp_path / "m.json")) == ["a b", "c"]
    assert read_document(tmp_path / "m.json") == "a b\nc\n"
    # the name of a manifest does not make one
    (tmp_path / "t.jsonl").write_text("{ a brace\nb\n", encoding="utf-8")
    assert list(read_texts(tmp_path / "t.jsonl")) == ["{ a brace", "b"]
    assert read_document(tmp_path / "t.jsonl") == "{ a brace\nb\n"
    (tmp_path / "no.jsonl").write_text('{"text": "no audio"}\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"no\.jsonl, line 1: no audio_filepath"):
        list(read_texts(tmp_path / "no.jsonl"))


def test_a_manifest_from_standard_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"text": "a"}\n')))
    with pytest.raises(InputError, match="standard input has a manifest"):
        list(read_texts("-"))


@pytest.mark.parametrize("name", ["cuts.json", "cuts.jsonl", "cuts.json.gz"])
def test_arrays_are_manifests(tmp_path: Path, name: str) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(80), 8000)
    content = json.dumps([{"audio": "a.wav", "text": "one"}, {"audio": "a.wav", "text": "two", "id": "b"}], indent=1)
    (tmp_path / name).write_bytes(gzip.compress(content.encode()) if name.endswith("gz") else content.encode())
    assert list(read_texts(tmp_path / name)) == ["one", "two"]
    assert read_document(tmp_path / name) == "one\ntwo\n"
    (tmp_path / "a.txt").write_text("[laughter] well\n")
    assert list(read_texts(tmp_path / "a.txt")) == ["[laughter] well"]


def test_tables_have_texts(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\ufeffid;Sentence\n1;one, two\n2;\n", encoding="utf-8")
    assert list(read_texts(tmp_path / "a.csv")) == ["one, two", ""]
    assert read_document(tmp_path / "a.csv") == "one, two\n\n"
    (tmp_path / "b.csv").write_text("well, one\ntwo\n")  # no table
    assert list(read_texts(tmp_path / "b.csv")) == ["well, one", "two"]
    (tmp_path / "a.csv").write_text("text,id\none\n")
    with pytest.raises(InputError, match="line 2: 1 columns where the header has 2"):
        list(read_texts(tmp_path / "a.csv"))


def test_phones_of_a_manifest(tone_corpus: Any, tmp_path: Path) -> None:
    path = tone_corpus(tmp_path, ["ab c", "de"])
    assert list(read_texts(path)) == ["ab c", "de"] and list(read_texts(path, phones=True)) == ["a b c", "d e"]
    assert read_document(path, phones=True) == "a b c\nd e\n"
