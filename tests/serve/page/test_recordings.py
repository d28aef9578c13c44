"""The page of `asr serve`: recordings come in, their words appear, sound, and are found."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from served_page import TEXT, WORDS, Served
from web_page import Sound, add_files, button, expect, row, until, until_recognized, words

pytestmark = pytest.mark.browser


def test_words_of_a_file_appear(page: Any) -> None:
    expect(words(page)).to_have_text(TEXT.split())
    expect(page.locator("#facts")).to_have_text(f"0:10 · {len(WORDS)} words · mean confidence 81 %")
    expect(page.locator(".paragraph")).to_have_count(2)  # a pause begins another one
    expect(page.locator("#announcer")).to_contain_text("speech.wav")


def expect_states(page: Any, *states: str) -> None:
    """Wait until the recordings of the list have these states."""
    rows = page.locator("#recordings li")
    expect(rows).to_have_count(len(states))
    for number, state in enumerate(states):
        expect(rows.nth(number)).to_have_attribute("data-state", state)


def test_several_files_wait_for_their_turn(
    visit: Callable[..., Any], server: Served, write_speech: Callable[..., Path], tmp_path: Path
) -> None:
    page = visit()
    server.engine.gate.clear()
    add_files(page, *[write_speech(tmp_path / f"{name}.wav") for name in "abcd"])
    rows, name = page.locator("#recordings li"), page.locator("#name")
    expect_states(page, "recognizing", "recognizing", "waiting", "waiting")
    expect(page.locator("#state-text")).to_have_text("Recognizing…")
    expect(page.locator("#progress")).to_be_visible()
    server.engine.gate.set()
    expect_states(page, "done", "done", "done", "done")
    expect(page.locator("#list-count")).to_have_text("4 of 4 done")
    row(page, "c.wav").click()
    expect(name).to_have_text("c.wav")
    page.keyboard.press("Alt+ArrowDown")
    expect(name).to_have_text("d.wav")
    button(page, "Remove d.wav").click()
    expect(name).to_have_text("c.wav")
    expect(rows).to_have_count(3)


def test_a_folder(visit: Callable[..., Any], write_speech: Callable[..., Path], tmp_path: Path) -> None:
    write_speech(tmp_path / "talks" / "one.wav")
    write_speech(tmp_path / "talks" / "more" / "two.wav")
    (tmp_path / "talks" / "notes.txt").write_text("no recording")
    page = visit()
    page.set_input_files("#folder", str(tmp_path / "talks"))
    expect_states(page, "done", "done")
    expect(page.locator("#recordings .name")).to_have_text(["talks/more/two.wav", "talks/one.wav"])
    expect(page.locator(".notice")).to_contain_text("talks/notes.txt")


def test_a_file_is_dropped(visit: Callable[..., Any], speech: Path) -> None:
    page = visit()
    transfer = page.evaluate_handle(
        """(text) => {
          const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt());
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], "dropped.wav", { type: "audio/wav" }));
          return transfer;
        }""",
        base64.b64encode(speech.read_bytes()).decode(),
    )
    page.dispatch_event("body", "dragenter", {"dataTransfer": transfer})
    expect(page.locator("#drop")).to_be_visible()
    page.dispatch_event("body", "drop", {"dataTransfer": transfer})
    expect(page.locator("#drop")).to_be_hidden()
    expect(page.locator("#name")).to_have_text("dropped.wav")
    expect(words(page)).to_have_text(TEXT.split())


def test_no_word(visit: Callable[..., Any], tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(16_000), 16_000)
    page = visit()
    add_files(page, tmp_path / "silence.wav")
    expect(page.locator("#transcript")).to_have_text("No words were found in this recording.")


def test_hot_words_go_to_the_server(visit: Callable[..., Any], server: Served, speech: Path) -> None:
    page = visit()
    page.locator(".options summary").click()
    page.fill("#hot-words", "Clare, Helpston")
    add_files(page, speech)
    until_recognized(page)
    assert server.model.prompts == ["Clare, Helpston"]


def test_a_word_sounds_when_it_is_clicked(long_page: Any) -> None:
    page = long_page
    sound = Sound(page)
    words(page).nth(5).click()
    sound.expect_events("seeking 2.50 play")
    sound.expect_sounded(r"^ 5( .*)? ([6-9]|\d\d)( |$)")  # the highlight goes on with the sound
    button(page, "Pause").click()
    sound.expect_events("seeking 2.50 play pause")
    expect(page.locator("#play")).to_have_attribute("aria-label", "Play")


@pytest.mark.parametrize(
    ("seconds", "sounding"),
    [(0.2, []), (WORDS[0].start, [0]), (WORDS[3].start, [3]), (WORDS[3].end - 0.01, [3]), (9.9, [])],
)
def test_the_word_that_sounds_is_highlighted(page: Any, seconds: float, sounding: list[int]) -> None:
    page.evaluate(f"document.querySelector('#audio').currentTime = {seconds}")
    expect(page.locator("#timeline")).to_have_attribute("aria-valuenow", f"{seconds:.2f}")
    expect(page.locator(".sounding[aria-current]")).to_have_text([WORDS[number].text for number in sounding])


def test_a_word_alone(page: Any) -> None:
    """It is heard to its end, where the position stays; then the sound goes on from there."""
    sound = Sound(page)
    words(page).nth(2).focus()
    page.keyboard.press("Shift+Enter")
    sound.expect_events("seeking 1.30 play pause seeking 1.65")
    expect(page.locator(".sounding")).to_have_text([WORDS[2].text])
    page.locator("#play").click()
    sound.expect_events("seeking 1.30 play pause seeking 1.65 play")


def test_positions_by_the_waveform(page: Any) -> None:
    timeline = page.locator("#timeline")
    page.locator("#overview").click()  # in its middle
    expect(timeline).to_have_attribute("aria-valuetext", re.compile(r"0:0(4\.9|5\.[01]) of 0:10\.0"))
    timeline.focus()
    for key, time in (
        ("Home", "00.0"),
        ("ArrowRight", "01.0"),
        ("End", "10.0"),
        ("ArrowLeft", "09.0"),
        ("PageDown", "00.0"),
    ):
        page.keyboard.press(key)
        expect(timeline).to_have_attribute("aria-valuetext", f"0:{time} of 0:10.0")


def test_the_waveform_is_drawn(page: Any) -> None:
    """Where there is noise the canvas has a high column, where there is silence a line."""
    until(
        page,
        """() => {
          const canvas = document.querySelector("#overview");
          const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          const inked = (x) => [...Array(height).keys()].filter((y) => data[4 * (y * width + x) + 3] > 128).length;
          const loudest = (from, to) => Math.max(...[...Array(8).keys()].map((i) =>
            inked(Math.round((width * (from + ((to - from) * (i + 0.5)) / 8)) / 10))));
          // the pause has the frame of the part that is shown
          return width > 300 && loudest(8.9, 9.8) > height / 2 && loudest(4.55, 5.95) < 8;
        }""",
    )


def test_search(page: Any) -> None:
    hits, found = page.locator("#hits"), page.locator(".found")
    page.keyboard.press("/")
    page.keyboard.type("the")
    expect(hits).to_have_text("1 of 4")
    expect(found).to_have_text(["The", "the", "the", "the"])
    for key, text in (("Enter", "1 of 4"), ("Enter", "2 of 4"), ("Shift+Enter", "1 of 4")):
        page.keyboard.press(key)
        expect(hits).to_have_text(text)
    page.fill("#query", "WHIRLED mourn")  # across sentences, without case and punctuation
    expect(found).to_have_text(["whirled.", "Mourning"])
    expect(page.locator("#recordings li")).to_contain_text("found 1")
    page.fill("#query", "nowhere")
    expect(hits).to_have_text("none")
    page.keyboard.press("Escape")
    expect(hits).to_have_text("")
    expect(found).to_have_count(0)


def test_doubtful_words_have_a_mark_that_is_no_color(page: Any) -> None:
    doubtful, count = page.locator(".doubtful[data-number]"), page.locator("#doubt-count")
    expect(doubtful).to_have_text(["whirled.", "Mourning", "hid"])
    expect(doubtful.first).to_have_css("text-decoration-style", "wavy")
    expect(doubtful.first).to_have_attribute("aria-description", "doubtful, confidence 31 %")
    page.fill("#threshold", "30")
    expect(doubtful).to_have_text(["hid"])
    expect(count).to_have_text("1 word")
    page.fill("#threshold", "0")
    expect(count).to_have_text("none")
    expect(page.locator("#doubt-after")).to_be_disabled()


def test_an_hour_of_words(visit: Callable[..., Any], speech: Path) -> None:
    """All of them are there, and a word far down is reached by search."""
    content = [{"word": f"word{i}", "start": 0.4 * i, "end": 0.4 * i + 0.3, "confidence": 0.9} for i in range(9000)]
    answer = json.dumps({"text": "", "duration": 3600.0, "words": content})
    page = visit()
    page.route("**/v1/audio/transcriptions", lambda route: route.fulfill(content_type="application/json", body=answer))
    add_files(page, speech)
    expect(words(page)).to_have_count(9000)
    page.fill("#query", "word8123")
    page.press("#query", "Enter")
    expect(page.locator(".found")).to_be_in_viewport(ratio=1)
