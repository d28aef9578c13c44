"""The page of `asr serve`: edits keep the times of the words; files are those that `asr transcribe` writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from served_page import TEXT, TRANSCRIPT, WORDS
from web_page import Sound, add_files, button, expect, until_recognized, words

from asr.output.formats import render

pytestmark = pytest.mark.browser


def save(page: Any, format: str, folder: Path) -> str:
    page.locator("#export summary").click()
    with page.expect_download() as download:
        page.locator(f"[data-format={format}]").click()
    assert download.value.suggested_filename == f"speech.{format}"
    download.value.save_as(folder / "saved")
    return (folder / "saved").read_text(encoding="utf-8")


@pytest.mark.parametrize("format", ["srt", "vtt", "TextGrid", "json"])
def test_files_are_those_of_the_command_line(page: Any, format: str, tmp_path: Path) -> None:
    assert save(page, format, tmp_path) == render(TRANSCRIPT, format)


def test_the_text_has_a_line_for_each_paragraph(page: Any, tmp_path: Path) -> None:
    first, second = TEXT.split(" Mourning")
    assert save(page, "txt", tmp_path) == f"{first}\nMourning{second}\n"


def test_an_edited_text_keeps_times(page: Any, tmp_path: Path) -> None:
    number = TEXT.split().index("whirled.")
    words(page).nth(number).dblclick()
    field = page.locator(".field")
    expect(field).to_be_focused()
    assert field.evaluate("(e) => e.value.slice(e.selectionStart, e.selectionEnd)") == "whirled."
    page.keyboard.type("world.")
    page.keyboard.press("Control+Enter")
    expect(words(page)).to_have_text(TEXT.replace("whirled", "world").split())
    expect(page.locator("#facts")).to_contain_text("edits not saved yet")
    expect(page.locator("#doubt-count")).to_have_text("2 words")
    saved = json.loads(save(page, "json", tmp_path))
    expected = [*WORDS[:number], replace(WORDS[number], text="world.", confidence=1.0), *WORDS[number + 1 :]]
    assert [(w["text"], w["start"], w["end"], w["confidence"]) for w in saved["words"]] == [
        (w.text, w.start, w.end, w.confidence) for w in expected
    ]
    assert saved["text"] == TEXT.replace("whirled", "world")
    expect(page.locator("#facts")).not_to_contain_text("not saved")


def edit(page: Any, number: int, text: str) -> None:
    """Write another text in the place of a word."""
    words(page).nth(number).dblclick()
    expect(page.locator(".field")).to_be_focused()
    page.keyboard.type(text)
    button(page, "Keep").click()
    expect(page.locator(".field")).to_have_count(0)


def test_undo_and_redo(page: Any) -> None:
    idle, fog = (TEXT.split().index(word) for word in ("idle", "fog"))
    edit(page, idle, "idol")
    edit(page, fog, "frog")
    for key, texts in (
        ("Control+z", ("idol", "fog")),
        ("Control+z", ("idle", "fog")),
        ("Control+Shift+z", ("idol", "fog")),
    ):
        page.keyboard.press(key)
        for number, text in zip((idle, fog), texts, strict=True):
            expect(words(page).nth(number)).to_have_text(text)
        expect(page.locator("#undo")).to_be_enabled(enabled="idol" in texts)
        expect(page.locator("#redo")).to_be_enabled()
    page.locator("#redo").click()
    expect(words(page).nth(fog)).to_have_text("frog")
    expect(page.locator("#redo")).to_be_disabled()


def test_escape_leaves_the_text(page: Any) -> None:
    words(page).nth(1).focus()
    page.keyboard.press("e")
    expect(page.locator(".field")).to_be_focused()
    page.keyboard.type("something else")
    page.keyboard.press("Escape")
    expect(words(page)).to_have_text(TEXT.split())
    expect(words(page).nth(1)).to_be_focused()


def test_a_line_feed_divides_a_paragraph(page: Any) -> None:
    words(page).nth(TEXT.split().index("and")).dblclick()
    expect(page.locator(".field")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".paragraph")).to_have_count(3)
    expect(words(page)).to_have_text(TEXT.split())


def test_what_is_typed_is_text(page: Any) -> None:
    edit(page, 0, "<b>&amp;</b><img/src/onerror=alert(1)>")
    expect(words(page).first).to_have_text("<b>&amp;</b><img/src/onerror=alert(1)>")
    expect(page.locator("#transcript b, #transcript img")).to_have_count(0)


def test_edits_are_not_lost_by_accident(page: Any) -> None:
    edit(page, 0, "A")
    question = page.get_by_role("dialog")
    rows = page.locator("#recordings li")
    for name in ("Remove speech.wav", "Recognize again"):
        button(page, name).click()
        button(question, "Keep it").click()
        expect(question).to_be_hidden()
        expect(rows).to_have_count(1)
        expect(words(page).first).to_have_text("A")
    button(page, "Remove speech.wav").click()
    button(question, "Remove it").click()
    expect(rows).to_have_count(0)
    expect(page.locator("#welcome")).to_be_visible()


def test_a_second_click_finds_the_word_where_it_was(visit: Callable[..., Any], speech: Path) -> None:
    """The page does not scroll to the word that sounds while a double click may be going on."""
    page = visit(viewport={"width": 360, "height": 500})
    page.clock.install()
    add_files(page, speech)
    until_recognized(page)
    page.clock.pause_at("2100-01-01")
    sound = Sound(page)
    last = words(page).last
    # its lower edge at that of the window, from where the page scrolls when it follows the sound
    last.evaluate("(word) => scrollBy(0, word.getBoundingClientRect().bottom - innerHeight + 4)")
    top = last.evaluate("(word) => word.getBoundingClientRect().top")
    box = last.bounding_box()
    at = (box["x"] + box["width"] / 2, box["y"] + 4)
    page.mouse.click(*at)
    sound.expect_sounded(str(len(WORDS) - 1))
    assert last.evaluate("(word) => word.getBoundingClientRect().top") == top
    page.mouse.dblclick(*at)
    expect(page.locator(".field")).to_be_focused()


def test_a_double_click_leaves_the_sound_as_it_was(long_page: Any) -> None:
    page = long_page
    sound = Sound(page)
    words(page).nth(3).dblclick()
    expect(page.locator(".field")).to_be_focused()
    sound.expect_events("seeking 1.70 play pause")
    page.keyboard.press("Escape")
    words(page).first.click()
    sound.expect_events("seeking 1.70 play pause seeking 0.50 play")
    words(page).nth(3).dblclick()
    expect(page.locator(".field")).to_be_focused()
    sound.expect_events("seeking 1.70 play pause seeking 0.50 play seeking 1.70")
    expect(page.locator("#play")).to_have_attribute("aria-label", "Pause")


def retimed(page: Any, text: str) -> str:
    """The words of an edit of "the idle our came and went", each of 300 ms, 400 ms after the one before."""
    words = [
        {"text": word, "start": 0.4 * i, "end": 0.4 * i + 0.3, "confidence": 0.5}
        for i, word in enumerate(["the", "idle", "our", "came", "and", "went"])
    ]
    found = page.evaluate(
        """async ([words, texts]) => {
          const { retime } = await import("/retime.js");
          return retime(words, texts, { start: 0, end: 4 });
        }""",
        [words, text.split()],
    )
    return ", ".join(f"{w['text']} {round(1000 * w['start'])} {round(1000 * w['end'])}" for w in found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("the idle our", "the 0 300, idle 400 700, our 800 1100", id="left out"),
        pytest.param(
            "The idle hour, came and went",
            "The 0 300, idle 400 700, hour, 800 1100, came 1200 1500, and 1600 1900, went 2000 2300",
            id="replaced",
        ),
        pytest.param(
            "the idlehour came and went",
            "the 0 300, idlehour 400 1100, came 1200 1500, and 1600 1900, went 2000 2300",
            id="joined",
        ),
        pytest.param(
            "the id le our came and went",
            "the 0 300, id 400 550, le 550 700, our 800 1100, came 1200 1500, and 1600 1900, went 2000 2300",
            id="divided",
        ),
        pytest.param(
            "the idle our came and went by",
            "the 0 300, idle 400 700, our 800 1100, came 1200 1500, and 1600 1900, went 2000 2300, by 2300 2500",
            id="added in a pause",
        ),
        pytest.param(
            "the idle our came and then went",
            "the 0 300, idle 400 700, our 800 1100, came 1200 1500, and 1600 1900, then 2000 2150, went 2150 2300",
            id="added without a pause",
        ),
        pytest.param("", "", id="nothing left"),
    ],
)
def test_times_of_edited_words(visit: Callable[..., Any], text: str, expected: str) -> None:
    """Words with their starts and ends in milliseconds."""
    assert retimed(visit(), text) == expected


def test_any_edit_leaves_times_in_order(visit: Callable[..., Any]) -> None:
    faults = visit().evaluate(
        """async () => {
          const { retime } = await import("/retime.js");
          let seed = 1;
          const random = (below) => (seed = (seed * 48271) % 2147483647) % below;
          const names = ["a", "be", "see", "deer", "A,", "b", "eye.", "—"];
          const draw = () => Array.from({ length: random(9) }, () => names[random(names.length)]);
          const faults = [];
          for (let i = 0; i < 3000; i++) {
            let at = 0;
            const time = (below) => (at += random(below) / 10);
            const words = draw().map((text) => ({ text, start: time(3), end: time(4), confidence: 0.5 }));
            const texts = draw();
            const found = retime(words, texts, { start: 0, end: at + random(10) / 10 });
            let last = 0;
            const isFine = found.every(({ start, end }) => {
              const fine = start >= last - 1e-9 && end >= start && Number.isFinite(end);
              last = end;
              return fine;
            });
            const isSame = found.map((word) => word.text).join(" ") === texts.join(" ");
            if (!isFine || !isSame) faults.push([words, texts, found]);
          }
          return faults.slice(0, 3);
        }"""
    )
    assert faults == []


def test_the_text_is_copied(visit: Callable[..., Any], speech: Path) -> None:
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    add_files(page, speech)
    until_recognized(page)
    button(page, "Copy").click()
    expect(page.locator("#announcer")).to_have_text("Text copied.")
    assert page.evaluate("navigator.clipboard.readText()") == TEXT.replace(" Mourning", "\nMourning") + "\n"
