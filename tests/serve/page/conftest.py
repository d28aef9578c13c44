"""Headless Chromium, and a server for it, for the tests of the page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import served_page
import soundfile
from served_page import RATE, SECONDS, WORDS, Served
from web_page import TIMEOUT, add_files, expect, until_recognized


@pytest.fixture(scope="session")
def start_server() -> Iterator[Callable[..., Served]]:
    """``start_server(token)``: a server of its own, for tests that stop it or want a token."""
    pytest.importorskip("uvicorn", reason='needs the server: pip install "asr-recurrent[serve]"')
    running: list[Served] = []

    def start(token: str = "") -> Served:
        running.append(served_page.start(token))
        return running[-1]

    yield start
    for served in running:
        served.stop()


@pytest.fixture(scope="session")
def shared_server(start_server: Callable[..., Served]) -> Served:
    return start_server()


@pytest.fixture
def server(shared_server: Served) -> Served:
    """The server that most tests share, with its gate open."""
    shared_server.engine.gate.set()
    shared_server.model.prompts.clear()
    return shared_server


def _chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="session")
def launch() -> Iterator[Callable[..., Any]]:
    """``launch(*flags)``: headless Chromium. Without it the test is skipped, or fails where ASR_BROWSER is "needed"."""
    missing = pytest.fail if os.environ.get("ASR_BROWSER") == "needed" else pytest.skip
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("needs Playwright: make test-browser installs it")
    program = _chromium()
    if program is None:
        missing("needs Chromium: make test-browser installs it; CHROMIUM names another program")
    with sync_playwright() as playwright:
        running = []

        def start(*flags: str) -> Any:
            # there is no sandbox for root, and little shared memory in a container
            options = [
                "--no-sandbox",
                "--disable-dev-shm-usage",
                "--disable-gpu",
                "--autoplay-policy=no-user-gesture-required",
                *flags,
            ]
            running.append(playwright.chromium.launch(executable_path=program, args=options, timeout=4 * TIMEOUT))
            return running[-1]

        yield start
        for browser in running:
            browser.close()


@pytest.fixture(scope="session")
def browser(launch: Callable[..., Any]) -> Any:
    return launch()


@pytest.fixture
def visit(browser: Any, server: Served) -> Iterator[Callable[..., Any]]:
    """``visit(url, **context)``: the page in a window of its own.

    Nothing moves on it, as for users who want that. Errors of scripts, refusals of the content security policy and
    requests to other hosts fail the test.
    """
    contexts: list[Any] = []
    faults: Any = []

    def open_page(url: str = "", wait: bool = True, **options: Any) -> Any:
        url = url or server.url
        chosen = options.pop("browser", browser)
        usual = {"viewport": {"width": 1200, "height": 850}, "reduced_motion": "reduce"}
        context = chosen.new_context(**{**usual, **options})
        contexts.append(context)
        context.set_default_timeout(TIMEOUT)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))

        def hear(message: Any) -> None:
            if "Content Security Policy" in message.text:
                faults.append(message.text)

        def see(request: Any) -> None:
            if not request.url.startswith((url, url.replace("http", "ws"), "blob:", "data:")):
                faults.append(f"request to {request.url}")

        page.on("console", hear)
        page.on("request", see)
        page.goto(url)
        if wait:
            expect(page.locator("#model")).not_to_have_value("…")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not faults


def _write_speech(path: Path, seconds: float = SECONDS, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    samples = np.zeros(int(seconds * RATE))
    for word in WORDS:
        span = slice(int(word.start * RATE), int(word.end * RATE))
        samples[span] = rng.normal(0, 0.1, len(samples[span]))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE)
    return path


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of 10 s with noise where `WORDS` are."""
    return _write_speech(tmp_path_factory.mktemp("speech") / "speech.wav")


@pytest.fixture
def write_speech() -> Callable[..., Path]:
    """``write_speech(path, seconds)``: such a recording elsewhere."""
    return _write_speech


@pytest.fixture
def page(visit: Callable[..., Any], speech: Path) -> Any:
    """The page with the words of a recording."""
    page = visit()
    add_files(page, speech)
    until_recognized(page)
    return page


@pytest.fixture
def long_page(visit: Callable[..., Any], tmp_path: Path) -> Any:
    """The same of a recording that plays for longer than any test takes, with the words at its beginning."""
    page = visit()
    add_files(page, _write_speech(tmp_path / "speech.wav", 120))
    until_recognized(page)
    return page
