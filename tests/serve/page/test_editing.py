"""The page of `asr serve`: edits keep the times of the words; files are those that `asr transcribe` writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from served_page import TEXT, TRANSCRIPT, WORDS

from asr.output.formats import render

pytestmark = pytest.mark.browser


def save(page: Any, format: str, folder: Path) -> str:
    page.click("#export summary")
    with page.expect_download() as download:
        page.click(f"[data-format={format}]")
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
    page.locator(".word", has_text="whirled.").dblclick()
    field = page.locator(".field")
    assert field.evaluate("(e) => e.value.slice(e.selectionStart, e.selectionEnd)") == "whirled."
    page.keyboard.type("world.")
    page.keyboard.press("Control+Enter")
    assert "just like the world." in page.inner_text("#transcript")
    assert "edits not saved yet" in page.inner_text("#facts")
    assert "whirled" not in page.inner_text("#doubt-count") and page.inner_text("#doubt-count") == "2 words"
    saved = json.loads(save(page, "json", tmp_path))
    number = TEXT.split().index("whirled.")
    expected = [*WORDS[:number], replace(WORDS[number], text="world.", confidence=1.0), *WORDS[number + 1 :]]
    assert [(w["text"], w["start"], w["end"], w["confidence"]) for w in saved["words"]] == [
        (w.text, w.start, w.end, w.confidence) for w in expected
    ]
    assert saved["text"] == TEXT.replace("whirled", "world")
    assert "not saved" not in page.inner_text("#facts")


def test_undo_and_redo(page: Any) -> None:
    for old, new in (("idle", "idol"), ("fog", "frog")):
        page.locator(".word", has_text=old).dblclick()
        page.keyboard.type(new)
        page.click("text=Keep")
    page.keyboard.press("Control+z")
    assert "idol" in page.inner_text("#transcript") and "frog" not in page.inner_text("#transcript")
    page.keyboard.press("Control+z")
    assert "idle" in page.inner_text("#transcript") and page.locator("#undo").is_disabled()
    page.keyboard.press("Control+Shift+z")
    page.click("#redo")
    assert "frog" in page.inner_text("#transcript") and page.locator("#redo").is_disabled()


def test_escape_leaves_the_text(page: Any) -> None:
    page.locator(".word").nth(1).focus()
    page.keyboard.press("e")
    page.keyboard.type("something else")
    page.keyboard.press("Escape")
    assert " ".join(page.locator(".word").all_inner_texts()) == TEXT
    assert page.evaluate("document.activeElement.dataset.number") == "1"


def test_a_line_feed_divides_a_paragraph(page: Any) -> None:
    page.locator(".word", has_text="and").first.dblclick()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    page.keyboard.press("Control+Enter")
    assert page.locator(".paragraph").count() == 3
    assert " ".join(page.locator(".word").all_inner_texts()) == TEXT


def test_what_is_typed_is_text(page: Any) -> None:
    page.locator(".word").first.dblclick()
    page.keyboard.type("<b>&amp;</b><img/src/onerror=alert(1)>")
    page.keyboard.press("Control+Enter")
    assert page.locator(".word").first.inner_text() == "<b>&amp;</b><img/src/onerror=alert(1)>"
    assert page.locator("#transcript b, #transcript img").count() == 0


def test_edits_are_not_lost_by_accident(page: Any) -> None:
    page.locator(".word").first.dblclick()
    page.keyboard.type("A")
    page.keyboard.press("Control+Enter")
    page.click("[aria-label='Remove speech.wav']")
    page.click("text=Keep it")
    assert page.locator("li").count() == 1
    page.click("#again")
    page.click("text=Keep it")
    assert page.locator(".word").first.inner_text() == "A"
    page.click("[aria-label='Remove speech.wav']")
    page.click("text=Remove it")
    assert page.locator("li").count() == 0 and page.locator("#welcome").is_visible()


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
def test_times_of_edited_words(page: Any, text: str, expected: str) -> None:
    """Words with their starts and ends in milliseconds."""
    assert retimed(page, text) == expected


def test_any_edit_leaves_times_in_order(page: Any) -> None:
    faults = page.evaluate(
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
    page.set_input_files("#files", str(speech))
    page.wait_for_selector(".word")
    page.click("#copy")
    page.wait_for_selector("text=Copied")
    assert page.evaluate("navigator.clipboard.readText()") == TEXT.replace(" Mourning", "\nMourning") + "\n"
