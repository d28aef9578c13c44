"""The page of `asr serve`: recordings come in, their words appear, sound, and are found."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from served_page import TEXT, WORDS, Served, until

pytestmark = pytest.mark.browser


def words_of(page: Any) -> list[str]:
    return list(page.locator(".word").all_inner_texts())


def test_words_of_a_file_appear(page: Any) -> None:
    assert " ".join(words_of(page)) == TEXT
    assert page.inner_text("#facts") == f"0:10 · {len(WORDS)} words · mean confidence 81 %"
    assert page.locator(".paragraph").count() == 2  # a pause begins another one
    until(page, "document.querySelector('#announcer').textContent.includes('speech.wav')")


def test_several_files_wait_for_their_turn(
    visit: Callable[..., Any], server: Served, write_speech: Callable[..., Path], tmp_path: Path
) -> None:
    page = visit()
    server.engine.gate.clear()
    page.set_input_files("#files", [str(write_speech(tmp_path / f"{name}.wav")) for name in "abcd"])
    until(page, "document.querySelectorAll('li[data-state=recognizing]').length === 2")
    assert page.locator("li[data-state=waiting]").count() == 2
    assert page.inner_text("#state-text") == "Recognizing…"
    assert page.locator("#progress").is_visible()
    server.engine.gate.set()
    until(page, "document.querySelectorAll('li[data-state=done]').length === 4")
    assert page.inner_text("#list-count") == "4 of 4 done"
    page.click("text=c.wav")
    assert page.inner_text("#name") == "c.wav"
    page.keyboard.press("Alt+ArrowDown")
    assert page.inner_text("#name") == "d.wav"
    page.click("[aria-label='Remove d.wav']")
    assert page.inner_text("#name") == "c.wav" and page.locator("li").count() == 3


def test_a_folder(visit: Callable[..., Any], write_speech: Callable[..., Path], tmp_path: Path) -> None:
    write_speech(tmp_path / "talks" / "one.wav")
    write_speech(tmp_path / "talks" / "more" / "two.wav")
    (tmp_path / "talks" / "notes.txt").write_text("no recording")
    page = visit()
    page.set_input_files("#folder", str(tmp_path / "talks"))
    until(page, "document.querySelectorAll('li[data-state=done]').length === 2")
    assert page.locator("li .name").all_inner_texts() == ["talks/more/two.wav", "talks/one.wav"]
    assert "talks/notes.txt" in page.inner_text(".notice")


def test_a_file_is_dropped(visit: Callable[..., Any], speech: Path) -> None:
    page = visit()
    transfer = page.evaluate_handle(
        """(bytes) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], "dropped.wav", { type: "audio/wav" }));
          return transfer;
        }""",
        list(speech.read_bytes()),
    )
    page.dispatch_event("body", "dragenter", {"dataTransfer": transfer})
    assert page.locator("#drop").is_visible()
    page.dispatch_event("body", "drop", {"dataTransfer": transfer})
    page.wait_for_selector(".word")
    assert not page.locator("#drop").is_visible()
    assert page.inner_text("#name") == "dropped.wav"


def test_no_word(visit: Callable[..., Any], tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(16_000), 16_000)
    page = visit()
    page.set_input_files("#files", str(tmp_path / "silence.wav"))
    page.wait_for_selector("text=No words were found")


def test_hot_words_go_to_the_server(visit: Callable[..., Any], server: Served, speech: Path) -> None:
    page = visit()
    page.click("text=Names and terms to expect")
    page.fill("#hot-words", "Clare, Helpston")
    page.set_input_files("#files", str(speech))
    page.wait_for_selector(".word")
    assert server.model.prompts == ["Clare, Helpston"]


def time_of(page: Any) -> float:
    return float(page.evaluate("document.querySelector('#audio').currentTime"))


def test_a_word_sounds_when_it_is_clicked(page: Any) -> None:
    word = page.locator(".word").nth(5)
    word.click()
    until(page, "!document.querySelector('#audio').paused")
    assert time_of(page) == pytest.approx(WORDS[5].start, abs=0.4)
    until(page, "document.querySelector('.sounding')?.dataset.number > 6")  # the highlight goes on with the sound
    assert page.get_attribute("#play", "aria-label") == "Pause"
    page.click("#play")
    until(page, "document.querySelector('#audio').paused")


@pytest.mark.parametrize(
    ("seconds", "sounding"),
    [(0.2, []), (WORDS[0].start, [0]), (WORDS[3].start, [3]), (WORDS[3].end - 0.01, [3]), (9.9, [])],
)
def test_the_word_that_sounds_is_highlighted(page: Any, seconds: float, sounding: list[int]) -> None:
    page.evaluate(f"document.querySelector('#audio').currentTime = {seconds}")
    until(page, f"Number(document.querySelector('#timeline').ariaValueNow) === {seconds}")
    assert page.locator(".sounding[aria-current]").all_inner_texts() == [WORDS[number].text for number in sounding]


def test_a_word_alone(page: Any) -> None:
    page.locator(".word").nth(2).focus()
    page.keyboard.press("Shift+Enter")
    until(page, "!document.querySelector('#audio').paused")
    until(page, "document.querySelector('#audio').paused")
    assert WORDS[2].end <= time_of(page) < WORDS[2].end + 0.35


def test_positions_by_the_waveform(page: Any) -> None:
    box = page.locator("#overview").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    until(page, "document.querySelector('#audio').currentTime > 1")
    assert time_of(page) == pytest.approx(5.0, abs=0.1)
    page.focus("#timeline")
    for key, expected in (("ArrowLeft", 4.0), ("Home", 0.0), ("End", 10.0), ("PageDown", 0.0)):
        page.keyboard.press(key)
        until(page, f"Math.abs(document.querySelector('#audio').currentTime - {expected}) < 0.1")
    assert page.get_attribute("#timeline", "aria-valuetext") == "0:00.0 of 0:10.0"


def test_the_waveform_is_drawn(page: Any) -> None:
    """Where there is noise the canvas has a high column, where there is silence a line."""
    heights = page.evaluate(
        """() => {
          const canvas = document.querySelector("#overview");
          const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          const inked = (x) => [...Array(height).keys()].filter((y) => data[4 * (y * width + x) + 3] > 128).length;
          const loudest = (from, to) => Math.max(...[...Array(8).keys()].map((i) =>
            inked(Math.round((width * (from + ((to - from) * (i + 0.5)) / 8)) / 10))));
          return [loudest(8.9, 9.8), loudest(7.6, 7.9), loudest(4.55, 5.95)];
        }""",
    )
    spoken = page.evaluate("document.querySelector('#overview').height")
    assert heights[0] > spoken / 2
    assert heights[2] < 8  # the pause, with the frame of the part that is shown


def test_search(page: Any) -> None:
    page.keyboard.press("/")
    page.keyboard.type("the")
    assert page.inner_text("#hits") == "1 of 4"  # "The", "the whirled", "the meadows", "the hills"
    found = page.locator(".found").all_inner_texts()
    assert found == ["The", "the", "the", "the"]
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert page.inner_text("#hits") == "2 of 4"
    page.keyboard.press("Shift+Enter")
    assert page.inner_text("#hits") == "1 of 4"
    page.fill("#query", "WHIRLED mourn")  # across sentences, without case and punctuation
    assert page.locator(".found").all_inner_texts() == ["whirled.", "Mourning"]
    assert "found 1" in page.inner_text("li")
    page.fill("#query", "nowhere")
    assert page.inner_text("#hits") == "none"
    page.keyboard.press("Escape")
    assert page.locator(".found").count() == 0


def test_doubtful_words_have_a_mark_that_is_no_color(page: Any) -> None:
    doubtful = page.locator(".doubtful[data-number]")
    assert doubtful.all_inner_texts() == ["whirled.", "Mourning", "hid"]
    assert doubtful.first.evaluate("(e) => getComputedStyle(e).textDecorationStyle") == "wavy"
    assert doubtful.first.get_attribute("aria-description") == "doubtful, confidence 31 %"
    page.fill("#threshold", "30")
    assert doubtful.all_inner_texts() == ["hid"]
    assert page.inner_text("#doubt-count") == "1 word"
    page.fill("#threshold", "0")
    assert page.inner_text("#doubt-count") == "none" and page.locator("#doubt-after").is_disabled()


def test_an_hour_of_words(visit: Callable[..., Any], speech: Path) -> None:
    """All of them are there, and a word far down is reached by search."""
    words = [{"word": f"word{i}", "start": 0.4 * i, "end": 0.4 * i + 0.3, "confidence": 0.9} for i in range(9000)]
    answer = json.dumps({"text": "", "duration": 3600.0, "words": words})
    page = visit()
    page.route("**/v1/audio/transcriptions", lambda route: route.fulfill(content_type="application/json", body=answer))
    page.set_input_files("#files", str(speech))
    page.wait_for_selector(".word")
    assert page.locator(".word").count() == 9000
    page.fill("#query", "word8123")
    page.press("#query", "Enter")
    until(
        page,
        """() => {
          const box = document.querySelector(".found").getBoundingClientRect();
          return box.top > 0 && box.bottom < innerHeight;
        }""",
    )
