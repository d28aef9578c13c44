"""The page of `asr serve` for everybody: keys, names for screen readers, contrast, small windows."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from served_page import TEXT, WORDS, Served
from web_page import Sound, add_files, button, expect, until, until_drawn, until_recognized, words

pytestmark = pytest.mark.browser
LAST = len(TEXT.split()) - 1
DOUBTFUL = [number for number, word in enumerate(WORDS) if word.confidence < 0.5]

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

WRONG_IDS = """
() => {
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  return [
    ...ids.filter((id, i) => ids.indexOf(id) !== i),
    ...[...document.querySelectorAll("label[for]")].filter((e) => !e.control).map((e) => e.htmlFor),
  ];
}
"""
NAMED_ROLES = {
    *("button", "checkbox", "combobox", "complementary", "dialog", "DisclosureTriangle", "main"),
    *("progressbar", "searchbox", "slider", "textbox"),
}


def states(page: Any, server: Served, speech: Path, tmp_path: Path) -> Any:
    """Bring the page into all its states, one after the other; yields their names."""
    yield "welcome"
    (tmp_path / "letter.wav").write_text("Dear reader")
    add_files(page, tmp_path / "letter.wav")
    expect(page.locator(".notice")).to_be_visible()
    expect(page.locator("#retry")).to_be_visible()
    until_drawn(page)
    yield "failed"
    server.engine.gate.clear()
    add_files(page, speech)
    expect(page.locator("#state-text")).to_have_text("Recognizing…")
    until_drawn(page)
    yield "recognizing"
    server.engine.gate.set()
    until_recognized(page)
    page.fill("#query", "the")
    page.evaluate("document.querySelector('#audio').currentTime = 1.0")
    expect(words(page).nth(1)).to_have_class(re.compile("sounding"))
    page.locator(".options summary").click()
    expect(page.locator("#hot-words")).to_be_visible()
    until_drawn(page)
    yield "words"
    page.locator("#export summary").click()
    expect(page.locator("[data-format=json]")).to_be_visible()
    until_drawn(page)
    yield "menu"
    page.keyboard.press("Escape")
    expect(page.locator("[data-format=json]")).to_be_hidden()
    words(page).nth(3).focus()
    page.keyboard.press("e")
    expect(page.locator(".field")).to_be_focused()
    until_drawn(page)
    yield "editing"
    page.keyboard.type("edited")
    page.keyboard.press("Control+Enter")
    expect(words(page).nth(3)).to_have_text("edited")
    until_drawn(page)
    yield "edited"
    page.locator("#show-help").click()
    expect(page.locator("#help")).to_be_visible()
    until_drawn(page)
    yield "help"
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    button(page, "Remove speech.wav").click()
    expect(page.locator("#confirm")).to_be_visible()
    until_drawn(page)
    yield "question"
    button(page, "Keep it").click()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(visit: Callable[..., Any], server: Served, speech: Path, tmp_path: Path, scheme: str) -> None:
    page = visit(color_scheme=scheme)
    checked, faults = 0, []
    for state in states(page, server, speech, tmp_path):
        found = page.evaluate(CONTRAST)
        checked += found["checked"]
        faults += [(state, fault) for fault in found["faults"]]
    assert not faults
    assert checked > 300
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) < 300) == (scheme == "dark")


def test_the_check_of_contrast_sees_faults(page: Any) -> None:
    until_drawn(page)
    page.evaluate(
        "document.styleSheets[0].insertRule('#facts { color: #999 }', document.styleSheets[0].cssRules.length)"
    )
    assert any("facts" in fault for fault in page.evaluate(CONTRAST)["faults"])


@pytest.mark.parametrize("width", [360, 768])
def test_small_windows_do_not_scroll_sideways(
    visit: Callable[..., Any], server: Served, speech: Path, tmp_path: Path, width: int
) -> None:
    page = visit(viewport={"width": width, "height": 700})
    for state in states(page, server, speech, tmp_path):
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
    add_files(page, write_speech(tmp_path / f"{'long' * 40}.wav"))
    until_recognized(page)
    words(page).first.dblclick()
    expect(page.locator(".field")).to_be_focused()
    word = "Donaudampfschifffahrtsgesellschaftskapitänswitwenrentenauszahlungsstelle"
    page.keyboard.type(word)
    page.keyboard.press("Control+Enter")
    expect(words(page).first).to_have_text(word)
    until_drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_controls_have_names(visit: Callable[..., Any], server: Served, speech: Path, tmp_path: Path) -> None:
    """As the browser tells them to screen readers."""
    page = visit()
    session = page.context.new_cdp_session(page)
    checked = set()
    for state in states(page, server, speech, tmp_path):
        for node in session.send("Accessibility.getFullAXTree")["nodes"]:
            role = node.get("role", {}).get("value")
            if node["ignored"] or role not in NAMED_ROLES:
                continue
            checked.add(role)
            assert node["name"]["value"].strip(), (state, node)
        assert page.evaluate(WRONG_IDS) == [], state
    assert checked == NAMED_ROLES
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator("[role=status][aria-live=polite]")).to_have_count(1)


def test_messages_at_the_same_time_are_all_announced(visit: Callable[..., Any]) -> None:
    page = visit()
    page.evaluate(
        """async () => {
          const { announce } = await import("/dom.js");
          announce("One.");
          announce("Two.");
        }"""
    )
    expect(page.locator("#announcer")).to_have_text("One. Two.")


def focus(page: Any) -> str:
    return str(page.evaluate("document.activeElement.dataset.number ?? document.activeElement.id"))


def expect_focus(page: Any, number: int) -> None:
    expect(words(page).nth(number)).to_be_focused()


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

    words(page).first.focus()
    for key, number in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", LAST), ("Home", 0)):
        page.keyboard.press(key)
        expect_focus(page, number)
    top = "document.{}.getBoundingClientRect().top"
    below = f"{top.format('activeElement')} - {top.format('querySelector(`.word`)')}"  # the first word
    page.keyboard.press("ArrowDown")
    until(page, f"{below} > 10")
    page.keyboard.press("ArrowUp")
    until(page, f"Math.abs({below}) < 1")
    page.keyboard.press("n")
    expect_focus(page, DOUBTFUL[0])
    page.keyboard.press("n")
    expect_focus(page, DOUBTFUL[1])
    page.keyboard.press("Shift+N")
    expect_focus(page, DOUBTFUL[0])
    expect(page.locator("#word-facts")).to_contain_text("confidence 31 %")


def test_sound_and_menu_by_keys(long_page: Any) -> None:
    page = long_page
    sound = Sound(page)
    words(page).nth(2).focus()
    page.keyboard.press("Enter")
    sound.expect_events("seeking 1.30 play")
    page.keyboard.press("Space")
    sound.expect_events("seeking 1.30 play pause")
    page.keyboard.press("x")
    expect(page.locator("[data-format=txt]")).to_be_focused()


def test_the_list_of_keys(page: Any) -> None:
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    assert page.locator("#keys kbd").count() > 20
    page.uncheck("#single-keys")  # for those whose speech input types letters (WCAG 2.1.4)
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    words(page).first.focus()
    page.keyboard.press("?")
    page.keyboard.press("e")
    until_drawn(page)
    expect(page.locator("#help")).to_be_hidden()
    expect(page.locator(".field")).to_have_count(0)
    page.reload()
    expect(page.locator("#model")).not_to_have_value("…")
    page.keyboard.press("?")
    until_drawn(page)
    expect(page.locator("#help")).to_be_hidden()


def test_keys_do_not_disturb_typing(page: Any) -> None:
    page.locator("#query").focus()
    page.keyboard.type("mexn? /")
    expect(page.locator("#query")).to_have_value("mexn? /")
    until_drawn(page)
    expect(page.locator("#help")).to_be_hidden()
    expect(page.locator(".field")).to_have_count(0)


@pytest.mark.parametrize(("motion", "animation"), [("reduce", "none"), ("no-preference", "slide")])
def test_nothing_moves_where_it_should_not(
    visit: Callable[..., Any], server: Served, speech: Path, motion: str, animation: str
) -> None:
    page = visit(reduced_motion=motion)
    server.engine.gate.clear()
    add_files(page, speech)
    expect(page.locator("#recordings li")).to_have_attribute("data-state", "recognizing")
    expect(page.locator("#progress")).to_have_css("animation-name", animation)
    server.engine.gate.set()
    until_recognized(page)


def test_policy(visit: Callable[..., Any]) -> None:
    """The server forbids inline code and other hosts; `visit` fails where the page would need them."""
    page = visit()
    policy = page.request.get(page.url).headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    source = page.content()
    assert "<script>" not in source and " style=" not in source and "onclick" not in source
