"""Transcripts that a client sends, in the file formats."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from served_page import TRANSCRIPT
from serving import error_of

from asr.output.formats import FORMATS, render


@pytest.mark.parametrize("format", FORMATS)
def test_files_are_those_of_the_command_line(client: Any, format: str) -> None:
    response = client.post(f"/v1/format/{format}", json=asdict(TRANSCRIPT))
    assert response.status_code == 200 and response.text == render(TRANSCRIPT, format)


def test_words_are_enough(client: Any) -> None:
    words = [{"text": "idle", "start": 0.5, "end": 1.0}, {"text": "hour", "start": 1.0, "end": 1.5}]
    assert client.post("/v1/format/txt", json={"words": words}).text == "idle hour\n"
    assert "xmax = 1.500" in client.post("/v1/format/TextGrid", json={"words": words}).text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{}", "words: field required"),
        ("nonsense", "json"),
        ('{"words": [{"text": "a", "start": 2, "end": 1}]}', "word 'a' from 2.0 to 1.0 s"),
        ('{"words": [{"text": "a", "start": -1, "end": 1}]}', "start"),
        ('{"words": [{"text": "a", "start": 0, "end": Infinity}]}', "end"),
        ('{"words": [{"text": "a", "start": 0, "end": 1, "confidence": 2}]}', "confidence"),
        ('{"words": [], "duration": 1e999}', "duration"),
    ],
)
def test_other_documents_are_refused(client: Any, content: str, said: str) -> None:
    response = client.post("/v1/format/srt", content=content, headers={"Content-Type": "application/json"})
    assert said in error_of(response, 400)["message"]


def test_half_an_emoji_is_replaced(client: Any) -> None:
    content = r'{"words": [{"text": "a\ud83d", "start": 0, "end": 1}], "source": "\ude00"}'
    for format in FORMATS:
        response = client.post(f"/v1/format/{format}", content=content, headers={"Content-Type": "application/json"})
        assert response.status_code == 200 and "a\ufffd" in response.text


def test_another_format_is_refused(client: Any) -> None:
    assert "TextGrid" in error_of(client.post("/v1/format/doc", json={"words": []}), 400)["message"]


def test_ten_hours_of_words_are_accepted_but_not_more(client: Any) -> None:
    word = {"text": "characteristically", "start": 12345.678, "end": 12345.987, "confidence": 0.9876}
    assert client.post("/v1/format/txt", json={"words": [word] * 80_000}).status_code == 200
    assert "8 MB" in error_of(client.post("/v1/format/txt", json={"words": [word] * 100_000}), 413)["message"]
