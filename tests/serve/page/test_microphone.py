"""The page of `asr serve`: the microphone, which is a file here."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import soundfile
from served_page import RATE, TEXT, Served
from web_page import button, expect, until, until_recognized, words

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
    ended: list[Any] = []
    finishes: list[Callable[[], None]] = []

    def serve(socket: Any) -> None:
        def send(type: str, text: str) -> None:
            sent = [{"word": word, "start": 0.1, "end": 0.3, "confidence": 0.4} for word in text.split()]
            socket.send(json.dumps({"type": type, "text": text, "words": sent}))

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
            ended.append(socket)

        def finish() -> None:
            send("final", "idle")
            socket.send('{"type": "done", "duration": 1.0}')

        finishes.append(finish)
        socket.on_message(receive)

    page.route_web_socket("**/v1/listen", serve)
    page.locator(".options summary").click()
    page.fill("#hot-words", "Clare")
    microphone, stop, state = page.locator("#microphone"), page.locator("#stop"), page.locator("#state-text")
    sure, may = page.get_by_role("log"), page.locator(".live .partial")
    microphone.click()
    expect(state).to_have_text("Listening…")
    expect(may).to_have_text(" idol hour")
    expect(sure).to_have_text("The")
    expect(sure).to_have_css("font-style", "normal")
    expect(may).to_have_css("font-style", "italic")
    colors = [span.evaluate("(e) => getComputedStyle(e).color") for span in (sure, may)]
    assert colors[0] != colors[1]
    expect(microphone).to_have_attribute("aria-pressed", "true")
    stop.click()
    # what was said stays in view while the last words are awaited
    expect(state).to_have_text("Waiting for the last words…")
    expect(microphone).to_have_attribute("aria-pressed", "false")
    expect(stop).to_be_hidden()
    while not ended:
        page.wait_for_timeout(30)
    expect(sure).to_have_text("The")
    finishes[0]()
    expect(words(page)).to_have_text(["The", "idle"])
    until_recognized(page)
    assert started == [{"type": "start", "sample_rate": RATE, "prompt": "Clare", "token": ""}]
    samples = np.frombuffer(b"".join(heard), np.int16)
    assert np.abs(samples).max() > 3000
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / RATE)
    # the tone, wherever a busy machine interrupts it
    assert power[(hertz > 410) & (hertz < 470)].sum() > 0.8 * power[hertz > 50].sum()


def test_without_live_words_the_recording_is_sent(visit: Callable[..., Any], server: Served, spoken: Any) -> None:
    page = visit(browser=spoken, permissions=["microphone"], wait=False)
    page.route_web_socket("**/v1/listen", lambda socket: socket.close())
    uploads: list[bytes] = []

    def keep(route: Any) -> None:
        uploads.append(route.request.post_data_buffer)
        route.continue_()

    page.route("**/v1/audio/transcriptions", keep)
    page.keyboard.press("m")
    expect(page.locator("#state-text")).to_have_text("Listening…")
    until(page, "document.querySelector('#facts').textContent >= '0:01'")
    page.keyboard.press("m")
    expect(words(page)).to_have_text(TEXT.split())
    until_recognized(page)
    (upload,) = uploads
    content = upload[upload.index(b"RIFF") :]
    samples, rate = soundfile.read(io.BytesIO(content[: 8 + int.from_bytes(content[4:8], "little")]))
    assert rate == RATE and samples.ndim == 1 and len(samples) >= rate


def test_no_permission(visit: Callable[..., Any]) -> None:
    page = visit()
    page.evaluate(
        """() => {
          navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("no", "NotAllowedError"));
        }"""
    )
    button(page, "Microphone").click()
    expect(page.locator(".notice")).to_have_text("The browser may not use the microphone: allow it for this page.")
    expect(page.locator("#recordings li")).to_have_count(0)
    expect(page.locator("#microphone")).to_have_attribute("aria-pressed", "false")


def test_turned_off_before_the_browser_gives_it(visit: Callable[..., Any], spoken: Any) -> None:
    """A second press takes the first one back: the microphone is not left on."""
    page = visit(browser=spoken, permissions=["microphone"])
    page.evaluate(
        """() => {
          const media = navigator.mediaDevices;
          const give = media.getUserMedia.bind(media);
          media.getUserMedia = async (wishes) => {
            const stream = await give(wishes);
            await new Promise((allow) => (window.allow = allow));
            return (window.given = stream);
          };
        }"""
    )
    button(page, "Microphone").click()
    until(page, "window.allow !== undefined")
    button(page, "Microphone").click()
    page.evaluate("window.allow()")
    until(page, "window.given?.getTracks().every((track) => track.readyState === 'ended')")
    expect(page.locator("#recordings li")).to_have_count(0)
    expect(page.locator("#microphone")).to_have_attribute("aria-pressed", "false")
