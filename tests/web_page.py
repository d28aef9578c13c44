"""What the tests of the page of `asr serve` share: waiting for what the browser does.

What a browser shows follows what a test does after some time: tests wait for the state that they want (`expect`,
`until`) and never look just once at what an action has changed. Texts are those of the document
(`expect(…).to_have_text`): `inner_text` is empty where a paragraph has not been drawn yet.
"""

from __future__ import annotations

import re
import time
from typing import Any

TIMEOUT = 60_000  # milliseconds, for a busy machine

try:
    from playwright import sync_api
except ImportError:
    expect: Any = None  # the fixture `launch` skips the tests, or fails
else:
    expect = sync_api.expect
    expect.set_options(timeout=TIMEOUT)


def until(page: Any, condition: str, seconds: float = TIMEOUT / 1000) -> None:
    """Wait until an expression is true on a page, where no locator tells it.

    Playwright's own `wait_for_function` evaluates strings on the page, which the content security policy forbids.
    """
    deadline = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {condition}"
        page.wait_for_timeout(30)


def until_drawn(page: Any) -> None:
    """Wait until the page is drawn as it is now: the browser lays out new paragraphs with the frame they are in."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def button(page: Any, name: str) -> Any:
    """Return the button with a name."""
    return page.get_by_role("button", name=name, exact=True)


def row(page: Any, name: str) -> Any:
    """Return the button of a recording in the list."""
    return page.locator("#recordings li").filter(has=page.locator(f".name[title='{name}']")).locator(".open")


def words(page: Any) -> Any:
    return page.locator("#transcript .word")


def add_files(page: Any, *paths: Any) -> None:
    page.set_input_files("#files", [str(path) for path in paths])


def until_recognized(page: Any) -> None:
    """Wait for words, and for audio that can be played."""
    expect(words(page).first).to_be_visible()
    expect(page.locator("#play")).to_be_enabled()


class Sound:
    """A record of what a page plays from now on, kept by the page: however late it is read, nothing is missed."""

    def __init__(self, page: Any) -> None:
        self._page = page
        page.evaluate(
            """() => {
              const audio = document.querySelector("#audio");
              audio.dataset.events = audio.dataset.sounded = "";
              for (const type of ["play", "pause", "seeking"])
                audio.addEventListener(type, () => {
                  audio.dataset.events += ` ${type}` + (type === "seeking" ? ` ${audio.currentTime.toFixed(2)}` : "");
                });
              new MutationObserver(() => {
                const number = document.querySelector("[data-number].sounding")?.dataset.number;
                if (number !== undefined) audio.dataset.sounded += ` ${number}`;
              }).observe(document.querySelector("#transcript"), { subtree: true, attributeFilter: ["class"] });
            }"""
        )

    def expect_events(self, pattern: str) -> None:
        """Wait until what happened is exactly this: "play", "pause", "seeking SECONDS"."""
        self._expect("data-events", f"^ {pattern}$")

    def expect_sounded(self, pattern: str) -> None:
        """Wait until the numbers of the words that were highlighted match."""
        self._expect("data-sounded", pattern)

    def _expect(self, attribute: str, pattern: str) -> None:
        expect(self._page.locator("#audio")).to_have_attribute(attribute, re.compile(pattern))
