"""The page of `asr serve` for everybody: keys, names for screen readers, contrast, small windows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from served_page import TEXT, Served, until

pytestmark = pytest.mark.browser

# Contrast as WCAG 2.2 defines it: of each text that is visible with what is behind it, 4.5:1, or 3:1 if it is large;
# of edges of fields and buttons, and of the underline of doubtful words, 3:1.
CONTRAST = """
() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const luminance = (color) => {
    const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = color.slice(0, 3).map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => {
    const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05);
  };
  const behind = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) {
      const color = rgba(getComputedStyle(e).backgroundColor);
      if (color[3]) layers.push(color);
      if (color[3] === 1 || e.matches("dialog")) break;
    }
    return layers.reduceRight((below, top) => over(top, below), rgba(getComputedStyle(document.body).backgroundColor));
  };
  const faults = [];
  let checked = 0;
  const check = (element, what, color, least) => {
    checked += 1;
    const ground = behind(what === "edge" ? element.parentElement : element);
    const found = ratio(over(rgba(color), ground), ground);
    const name = element.id || element.className;
    if (found < least) faults.push(`${what} of ${element.tagName} ${name}: ${found.toFixed(2)}`);
  };
  for (const element of document.querySelectorAll("body *")) {
    if (!element.checkVisibility({ visibilityProperty: true }) || element.closest("svg, :disabled, option")) continue;
    const style = getComputedStyle(element);
    const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    const size = parseFloat(style.fontSize);
    const least = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
    if (hasText || element.matches("input, textarea, select")) check(element, "text", style.color, least);
    if (element.matches("input") && element.placeholder)
      check(element, "placeholder", getComputedStyle(element, "::placeholder").color, 4.5);
    const hasEdge = element.matches("input:not([type=range], [type=checkbox]), textarea, select, button");
    if (hasEdge && parseFloat(style.borderTopWidth) && rgba(style.borderTopColor)[3])
      check(element, "edge", style.borderTopColor, 3);
    if (element.matches("[data-number].doubtful")) check(element, "underline", style.textDecorationColor, 3);
    if (element.matches("button svg")) check(element, "icon", style.color, 3);
  }
  return { faults, checked };
}
"""

NAMELESS = """
() => {
  const named = (e) =>
    (e.getAttribute("aria-label") || e.innerText || e.title || [...(e.labels ?? [])].map((l) => l.innerText).join("") ||
      document.getElementById(e.getAttribute("aria-labelledby"))?.innerText || "").trim();
  const kinds = "button, input, select, textarea, summary, [role=button], [role=slider], dialog, aside, main";
  const all = [...document.querySelectorAll(kinds)];
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  return [
    ...all.filter((e) => e.checkVisibility() && !named(e)).map((e) => e.outerHTML.slice(0, 80)),
    ...ids.filter((id, i) => ids.indexOf(id) !== i),
    ...[...document.querySelectorAll("label[for]")].filter((e) => !e.control).map((e) => e.htmlFor),
  ];
}
"""


def states(page: Any, speech: Path, tmp_path: Path) -> Any:
    """Bring the page into all its states, one after the other; yields their names."""
    yield "welcome"
    (tmp_path / "letter.wav").write_text("Dear reader")
    page.set_input_files("#files", str(tmp_path / "letter.wav"))
    page.wait_for_selector(".notice")
    page.set_input_files("#files", str(speech))
    page.wait_for_selector("li[data-state=failed]")
    yield "failed"
    page.locator("li .open").last.click()
    page.wait_for_selector(".word")
    page.fill("#query", "the")
    page.evaluate("document.querySelector('#audio').currentTime = 1.0")
    page.wait_for_selector(".sounding")
    page.click(".options summary")
    yield "words"
    page.click("#export summary")
    yield "menu"
    page.keyboard.press("Escape")
    page.locator(".word").nth(3).dblclick()
    yield "editing"
    page.keyboard.type("edited")
    page.keyboard.press("Control+Enter")
    yield "edited"
    page.click("#show-help")
    yield "help"
    page.keyboard.press("Escape")
    page.click("[aria-label='Remove speech.wav']")
    yield "question"
    page.click("text=Keep it")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(visit: Callable[..., Any], speech: Path, tmp_path: Path, scheme: str) -> None:
    page = visit(color_scheme=scheme)
    checked, faults = 0, []
    for state in states(page, speech, tmp_path):
        found = page.evaluate(CONTRAST)
        checked += found["checked"]
        faults += [(state, fault) for fault in found["faults"]]
    assert not faults
    assert checked > 300
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) < 300) == (scheme == "dark")


def test_the_check_of_contrast_sees_faults(page: Any) -> None:
    page.evaluate(
        "document.styleSheets[0].insertRule('#facts { color: #999 }', document.styleSheets[0].cssRules.length)"
    )
    assert any("facts" in fault for fault in page.evaluate(CONTRAST)["faults"])


@pytest.mark.parametrize("width", [360, 768])
def test_small_windows_do_not_scroll_sideways(
    visit: Callable[..., Any], speech: Path, tmp_path: Path, width: int
) -> None:
    page = visit(viewport={"width": width, "height": 700})
    for state in states(page, speech, tmp_path):
        assert page.evaluate("document.documentElement.scrollWidth") == width, state
        outside = page.evaluate(
            """() => [...document.querySelectorAll("button, input, select, summary, textarea, .word")]
              .filter((e) => e.checkVisibility() && !e.closest(".recordings"))
              .filter((e) => { const b = e.getBoundingClientRect(); return b.left < 0 || b.right > innerWidth; })
              .map((e) => e.id || e.innerText)"""
        )
        assert outside == [], state


def test_a_long_name_and_word_at_360_pixels(
    visit: Callable[..., Any], write_speech: Callable[..., Path], tmp_path: Path
) -> None:
    page = visit(viewport={"width": 360, "height": 700})
    page.set_input_files("#files", str(write_speech(tmp_path / f"{'long' * 40}.wav")))
    page.wait_for_selector(".word")
    page.locator(".word").first.dblclick()
    page.keyboard.type("Donaudampfschifffahrtsgesellschaftskapitänswitwenrentenauszahlungsstelle")
    page.keyboard.press("Control+Enter")
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_controls_have_names(visit: Callable[..., Any], speech: Path, tmp_path: Path) -> None:
    page = visit()
    for state in states(page, speech, tmp_path):
        assert page.evaluate(NAMELESS) == [], state
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("[role=status][aria-live=polite]").count() == 1


def focus(page: Any) -> str:
    return str(page.evaluate("document.activeElement.dataset.number ?? document.activeElement.id"))


def test_everything_by_keys(page: Any) -> None:
    """Tab leads through all controls, and to one word; arrows lead to the others."""
    page.locator("body").click(position={"x": 1, "y": 1})
    stops = []
    for _ in range(45):
        page.keyboard.press("Tab")
        stops.append(focus(page))
    expected = ["show-help", "choose-files", "microphone", "copy", "timeline", "play", "speed", "query", "threshold"]
    assert [stop for stop in stops if stop in expected][: len(expected)] == expected
    assert sum(stop.isdigit() for stop in dict.fromkeys(stops)) == 1

    page.locator(".word").first.focus()
    for key, number in (
        ("ArrowRight", "1"), ("ArrowRight", "2"), ("ArrowLeft", "1"),
        ("End", str(len(TEXT.split()) - 1)), ("Home", "0"),
    ):  # fmt: skip
        page.keyboard.press(key)
        assert focus(page) == number
    page.keyboard.press("ArrowDown")
    below = page.locator(".word").nth(int(focus(page))).bounding_box()
    assert below["y"] > page.locator(".word").first.bounding_box()["y"]
    page.keyboard.press("ArrowUp")
    above = page.locator(".word").nth(int(focus(page))).bounding_box()
    assert above["y"] == page.locator(".word").first.bounding_box()["y"]
    page.keyboard.press("n")
    assert focus(page) == str(TEXT.split().index("whirled."))
    page.keyboard.press("n")
    page.keyboard.press("Shift+N")
    assert focus(page) == str(TEXT.split().index("whirled."))
    assert "confidence 31 %" in page.inner_text("#word-facts")
    page.keyboard.press("Enter")
    until(page, "!document.querySelector('#audio').paused")
    page.keyboard.press("Space")
    until(page, "document.querySelector('#audio').paused")
    page.keyboard.press("x")
    assert page.evaluate("document.activeElement.dataset.format") == "txt"
    page.keyboard.press("Escape")
    page.keyboard.press("]")
    assert page.input_value("#speed") == "1.25"
    assert page.evaluate("document.querySelector('#audio').playbackRate") == 1.25


def test_the_list_of_keys(page: Any) -> None:
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    assert page.locator("#keys kbd").count() > 20
    page.uncheck("#single-keys")  # for those whose speech input types letters (WCAG 2.1.4)
    page.keyboard.press("Escape")
    page.locator(".word").first.focus()
    page.keyboard.press("?")
    page.keyboard.press("e")
    assert not page.locator("#help").is_visible() and page.locator(".field").count() == 0
    page.reload()
    page.keyboard.press("?")
    assert not page.locator("#help").is_visible()


def test_keys_do_not_disturb_typing(page: Any) -> None:
    page.focus("#query")
    page.keyboard.type("mexn? /")
    assert page.input_value("#query") == "mexn? /"
    assert not page.locator("#help").is_visible() and page.locator(".field").count() == 0


def test_nothing_moves_where_it_should_not(visit: Callable[..., Any], server: Served, speech: Path) -> None:
    page = visit(reduced_motion="reduce")
    server.engine.gate.clear()
    page.set_input_files("#files", str(speech))
    page.wait_for_selector("li[data-state=recognizing]")
    assert page.evaluate("getComputedStyle(document.querySelector('#progress')).animationName") == "none"
    server.engine.gate.set()
    page.wait_for_selector(".word")


def test_policy(visit: Callable[..., Any]) -> None:
    """The server forbids inline code and other hosts; `visit` fails where the page would need them."""
    page = visit()
    policy = page.request.get(page.url).headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    source = page.content()
    assert "<script>" not in source and " style=" not in source and "onclick" not in source
