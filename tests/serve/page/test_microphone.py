"""The page of `asr serve`: the microphone, which is a file here."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import soundfile
from served_page import RATE, TEXT, Served, until

pytestmark = pytest.mark.browser


@pytest.fixture(scope="session")
def spoken(launch: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Chromium whose microphone hears a tone of 440 Hz."""
    file = tmp_path_factory.mktemp("microphone") / "tone.wav"
    soundfile.write(file, 0.3 * np.sin(2 * np.pi * 440 * np.arange(4 * 48_000) / 48_000), 48_000)
    return launch(
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={file}",
    )


def test_live_words(visit: Callable[..., Any], spoken: Any) -> None:
    """Words that may change are set apart from those that stay; what was said is kept and can be heard."""
    page = visit(browser=spoken, permissions=["microphone"], wait=False)
    heard: list[bytes] = []
    started: list[dict[str, Any]] = []

    def serve(socket: Any) -> None:
        def send(type: str, text: str) -> None:
            words = [{"word": word, "start": 0.1, "end": 0.3, "confidence": 0.4} for word in text.split()]
            socket.send(json.dumps({"type": type, "text": text, "words": words}))

        def receive(message: Any) -> None:
            if isinstance(message, bytes):
                heard.append(message)
                if len(heard) == 3:
                    send("partial", "the idol")
                if len(heard) == 6:
                    send("final", "The")
                    send("partial", "idol hour")
                return
            if json.loads(message)["type"] == "start":
                started.append(json.loads(message))
                socket.send(json.dumps({"type": "ready", "sample_rate": RATE}))
                return
            send("final", "idle")
            socket.send('{"type": "done", "duration": 1.0}')

        socket.on_message(receive)

    page.route_web_socket("**/v1/listen", serve)
    page.click("text=Names and terms to expect")
    page.fill("#hot-words", "Clare")
    page.click("#microphone")
    page.wait_for_selector("text=Listening…")
    until(page, "document.querySelector('.partial').textContent.includes('idol hour')")
    assert page.inner_text(".live [role=log]") == "The"
    style = "[...document.querySelectorAll('.live span')].map((e) => getComputedStyle(e).{})"
    sure, may = page.evaluate(style.format("color"))
    assert sure != may
    assert page.evaluate(style.format("fontStyle")) == ["normal", "italic"]
    assert page.get_attribute("#microphone", "aria-pressed") == "true"
    page.click("#stop")
    page.wait_for_selector(".word")
    assert page.locator(".word").all_inner_texts() == ["The", "idle"]
    assert page.get_attribute("#microphone", "aria-pressed") == "false"
    until(page, "!document.querySelector('#play').disabled")
    assert started == [{"type": "start", "sample_rate": RATE, "prompt": "Clare", "token": ""}]
    samples = np.frombuffer(b"".join(heard), np.int16)
    assert np.abs(samples).max() > 3000  # the tone
    spectrum = np.abs(np.fft.rfft(samples[-RATE // 2 :]))
    assert np.argmax(spectrum) * 2 == pytest.approx(440, abs=10)  # at RATE samples a second


def test_without_live_words_the_recording_is_sent(visit: Callable[..., Any], server: Served, spoken: Any) -> None:
    page = visit(browser=spoken, permissions=["microphone"], wait=False)
    page.route_web_socket("**/v1/listen", lambda socket: socket.close())
    uploads: list[bytes] = []

    def keep(route: Any) -> None:
        uploads.append(route.request.post_data_buffer)
        route.continue_()

    page.route("**/v1/audio/transcriptions", keep)
    page.keyboard.press("m")
    page.wait_for_selector("text=Listening…")
    until(page, "document.querySelector('#facts').textContent >= '0:01'")
    page.keyboard.press("m")
    page.wait_for_selector(".word")
    assert " ".join(page.locator(".word").all_inner_texts()) == TEXT
    until(page, "!document.querySelector('#play').disabled")
    (upload,) = uploads
    content = upload[upload.index(b"RIFF") :]
    samples, rate = soundfile.read(io.BytesIO(content[: 8 + int.from_bytes(content[4:8], "little")]))
    assert rate == RATE and samples.ndim == 1 and 0.9 < len(samples) / rate < 10


def test_no_permission(visit: Callable[..., Any]) -> None:
    page = visit()
    page.evaluate(
        """() => {
          navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("no", "NotAllowedError"));
        }"""
    )
    page.click("#microphone")
    page.wait_for_selector("text=The browser may not use the microphone: allow it for this page.")
    assert page.locator("li").count() == 0 and page.get_attribute("#microphone", "aria-pressed") == "false"
