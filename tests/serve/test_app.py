"""The addresses of a server: formats, parameters, errors in OpenAI's form."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from serving import TRANSCRIPTIONS, error_of, post


@pytest.mark.parametrize("format", ["srt", "vtt", "tsv", "TextGrid"])
def test_formats_are_those_of_the_command_line(
    client: Any, asr: Callable[..., Any], recording: bytes, model_directory: Path, tmp_path: Path, format: str
) -> None:
    (tmp_path / "speech.wav").write_bytes(recording)
    printed = asr("transcribe", tmp_path / "speech.wav", "--model", model_directory, "--format", format)
    assert printed.status == 0
    assert post(client, recording, response_format=format).text == printed.out


def test_words_are_those_of_the_command_line(
    client: Any, asr: Callable[..., Any], recording: bytes, model_directory: Path, tmp_path: Path
) -> None:
    (tmp_path / "speech.wav").write_bytes(recording)
    printed = asr("transcribe", tmp_path / "speech.wav", "--model", model_directory, "--format", "json")
    expected = json.loads(printed.out)
    granularities: dict[str, Any] = {"timestamp_granularities[]": ["word", "segment"]}
    content = post(
        client,
        recording,
        response_format="verbose_json",
        model="whisper-1",
        language="en",
        **granularities,
    ).json()
    assert content["text"] == expected["text"] and content["duration"] == pytest.approx(expected["duration"], abs=1e-3)
    assert content["language"] == "en"
    assert [word["text"] for word in expected["words"]] == [word["word"] for word in content["words"]]
    for name in ("start", "end", "confidence"):
        assert [word[name] for word in content["words"]] == pytest.approx(
            [word[name] for word in expected["words"]], abs=1e-3
        )
    assert " ".join(segment["text"] for segment in content["segments"]) == content["text"]
    assert content["segments"][0]["start"] == content["words"][0]["start"]
    assert content["segments"][-1]["end"] == content["words"][-1]["end"]


def test_plain_forms(client: Any, recording: bytes) -> None:
    content = post(client, recording).json()
    assert content["text"] and content["usage"]["type"] == "duration"
    assert post(client, recording, response_format="text").text == content["text"] + "\n"
    for name in ("timestamp_granularities[]", "timestamp_granularities"):
        only_words = post(client, recording, response_format="verbose_json", **{name: "word"}).json()
        assert "words" in only_words and "segments" not in only_words
    default = post(client, recording, response_format="verbose_json").json()
    assert "segments" in default and "words" not in default


def test_events_hold_the_text(client: Any, recording: bytes) -> None:
    response = post(client, recording, stream="true")
    assert response.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line[6:]) for line in response.text.splitlines() if line]
    text = post(client, recording).json()["text"]
    assert events[-1] == {"type": "transcript.text.done", "text": text, "usage": events[-1]["usage"]}
    assert "".join(event["delta"] for event in events[:-1]) == text


def test_a_long_recording_comes_in_parts(
    client: Any, wav: Callable[..., bytes], waveforms: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    from asr.inference.decoders.segments import SegmentedSearch

    settled = vars(SegmentedSearch)["settled"].fget

    def waits(search: SegmentedSearch) -> Any:
        wait(search._running)
        return settled(search)

    monkeypatch.setattr(SegmentedSearch, "settled", property(waits))
    recording = wav(np.tile(waveforms[6], 25))
    events = post(client, recording, stream="true", prompt="head").text.splitlines()
    contents = [json.loads(line[6:]) for line in events if line]
    deltas = [content["delta"] for content in contents[:-1]]
    assert len(deltas) > 1 and "".join(deltas) == contents[-1]["text"]
    assert post(client, recording, prompt="head").json()["text"] == contents[-1]["text"]


def test_silence_has_no_words(client: Any, wav: Callable[..., bytes]) -> None:
    silence = wav(np.zeros(8000, np.float32))
    assert post(client, silence).json()["text"] == ""
    content = post(client, silence, response_format="verbose_json").json()
    assert content["segments"] == [] and content["confidence"] is None and content["duration"] == 1.0
    assert post(client, silence, response_format="srt").text == ""


def test_alignment(
    client: Any, recording: bytes, asr: Callable[..., Any], model_directory: Path, tmp_path: Path
) -> None:
    text = post(client, recording).json()["text"]
    content = post(client, recording, "/v1/align", text=text).json()
    assert [word["word"] for word in content["words"]] == text.split()
    assert content["fits"] is True and content["task"] == "align"
    (tmp_path / "speech.wav").write_bytes(recording)
    (tmp_path / "speech.txt").write_text(text)
    printed = asr("align", tmp_path / "speech.wav", tmp_path / "speech.txt", "--model", model_directory)
    expected = json.loads(printed.out)
    assert [word["start"] for word in content["words"]] == [word["start"] for word in expected["words"]]
    grid = post(client, recording, "/v1/align", text=text, response_format="TextGrid").text
    assert grid.startswith('File type = "ooTextFile"')
    assert error_of(post(client, recording, "/v1/align", text="12 %"), 400)["param"] == "text"
    assert error_of(post(client, recording, "/v1/align"), 400)["param"] == "text"


def test_prompts_are_hot_words(
    client: Any, recording: bytes, model_directory: Path, waveforms: list[np.ndarray]
) -> None:
    from asr.inference.recognizer import Recognizer

    plain = post(client, recording).json()["text"]
    favoring = Recognizer.load(model_directory, decoder={"hotwords": {"che": 15.0, "nothing else": 1.5}})
    expected = favoring.transcribe(waveforms[2]).text
    assert "che" in expected.split() and "che" not in plain.split()
    assert post(client, recording, prompt="che=15, nothing else").json()["text"] == expected
    assert post(client, recording).json()["text"] == plain  # of one request only
    assert post(client, recording, prompt="The meeting of the board. 漢字").status_code == 200
    assert error_of(post(client, recording, prompt="a=1000"), 400)["param"] == "prompt"
    assert error_of(post(client, recording, prompt="a=high"), 400)["param"] == "prompt"
    assert error_of(post(client, recording, prompt=",".join(map(str, range(600)))), 400)["param"] == "prompt"


def test_words_of_a_prompt() -> None:
    from asr.serve.model import words_of_prompt

    found = words_of_prompt("Anna, new  york=3;\nThe meeting of Monday. U.S. law: 3.5 percent? anna=-2 \nAnna=-9")
    assert found == {
        "Anna": -9.0, "new york": 3.0, "U.S": 1.5, "law": 1.5, "3.5 percent": 1.5, "anna": -2.0
    }  # fmt: skip
    assert words_of_prompt(" ,. ") == {}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": "mp3"}, "response_format"),
        ({"timestamp_granularities[]": "letter"}, "timestamp_granularities[]"),
        ({"stream": "perhaps"}, "stream"),
    ],
)
def test_values_that_are_refused(client: Any, recording: bytes, fields: dict[str, str], param: str) -> None:
    error = error_of(post(client, recording, **fields), 400)
    assert error["param"] == param and error["type"] == "invalid_request_error"


def test_models(client: Any, recording: bytes) -> None:
    (listed,) = client.get("/v1/models").json()["data"]
    assert listed["id"] == "ctc_text" and listed["object"] == "model"
    assert client.get("/v1/models/ctc_text").json() == listed
    unknown = error_of(client.get("/v1/models/other"), 404)
    assert unknown["code"] == "model_not_found" and unknown["message"].startswith("there is no model 'other' here")
    error = error_of(post(client, recording, model="other"), 404)
    assert error["param"] == "model" and "'ctc_text'" in error["message"]
    for name in ("ctc_text", "whisper-1", "gpt-4o-mini-transcribe", ""):
        assert post(client, recording, model=name).status_code == 200


def test_recordings_that_cannot_be_read(client: Any, recording: bytes) -> None:
    for content in (b"", b"no audio", recording[:40]):
        error = error_of(post(client, content), 400)
        assert error["param"] == "file" and "accepted are wav" in error["message"]
        assert error["message"].startswith(("is empty", "not audio", "libsndfile cannot"))
    assert error_of(client.post(TRANSCRIPTIONS, data={"model": "whisper-1"}), 400)["param"] == "file"
    text = error_of(client.post(TRANSCRIPTIONS, data={"file": "/etc/passwd"}), 400)
    assert text["param"] == "file" and text["message"].startswith("file: use an upload")
    assert error_of(client.post(TRANSCRIPTIONS, json={"file": "/etc/passwd"}), 400)["param"] == "file"
    broken = client.post(
        TRANSCRIPTIONS, content=b"--x\r\n", headers={"content-type": "multipart/form-data; boundary=x"}
    )
    error_of(broken, 400)


def test_addresses_and_methods_that_are_not_there(client: Any, recording: bytes) -> None:
    error_of(client.get("/nothing"), 404)
    error = error_of(post(client, recording, "/v1/audio/translations"), 404)
    assert error["message"] == "POST /v1/audio/translations: this server has no such address"
    for method, address, allowed in [
        ("GET", TRANSCRIPTIONS, "POST"), ("DELETE", TRANSCRIPTIONS, "POST"), ("POST", "/v1/models/ctc_text", "GET")
    ]:  # fmt: skip
        answer = client.request(method, address)
        assert error_of(answer, 405)["message"] == f"{method} {address}: use {allowed}"
        assert answer.headers["allow"] == allowed


def test_no_path_of_a_client_is_opened(client: Any, recording: bytes, tmp_path: Path) -> None:
    (tmp_path / "secret.wav").write_bytes(recording)
    playlists = (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:3,\n{tmp_path}/secret.wav\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile '{tmp_path}/secret.wav'\n",
        f"[playlist]\nFile1={tmp_path}/secret.wav\n",
        f"{tmp_path}/secret.wav",
    )
    for content in playlists:
        assert error_of(post(client, content.encode()), 400)["code"] == "invalid_audio"
    named = client.post(TRANSCRIPTIONS, files={"file": (f"{tmp_path}/secret.wav", b"no audio")})
    assert error_of(named, 400)["code"] == "invalid_audio"
    for path in ("/../app.py", "/%2e%2e/app.py", "/..%2fapp.py", f"/{tmp_path}/secret.wav"):
        assert client.get(path).status_code == 404


def test_uploads_leave_no_file(
    client: Any, waveforms: list[np.ndarray], wav: Callable[..., bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    large = wav(np.tile(waveforms[6], 14))
    assert len(large) > 1 << 20  # is spooled to a file
    assert post(client, large).status_code == 200
    assert post(client, b"RIFF" + bytes(2 << 20)).status_code == 400
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk(client: Any, recording: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)  # where an upload of more than 1 MB goes
    error = error_of(post(client, bytes(2_000_000)), 507)
    assert (error["code"], error["param"]) == ("disk_full", "file") and "no room" in error["message"]
    monkeypatch.undo()
    assert post(client, recording).json()["text"]


def test_health_and_figures(client: Any, recording: bytes) -> None:
    assert client.get("/health").json()["status"] == "ok"
    post(client, recording)
    post(client, b"no audio")
    figures = client.get("/metrics").text
    assert 'asr_requests_total{address="/v1/audio/transcriptions",status="200"} 1.0' in figures
    assert 'asr_requests_total{address="/v1/audio/transcriptions",status="400"} 1.0' in figures
    assert "asr_batch_windows_count" in figures and "process_resident_memory_bytes" in figures
    assert "asr_queue_recordings 0.0" in figures and "asr_active_uploads 0.0" in figures


def test_the_page_is_served_without_other_hosts(client: Any) -> None:
    page = client.get("/")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert client.get("/docs").status_code == 404  # FastAPI's takes its scripts from elsewhere
