"""The page of `asr serve`: what the server refuses is shown, and nothing is lost by it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from served_page import TEXT, Served, until

pytestmark = pytest.mark.browser


def test_a_file_that_is_no_recording(visit: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "letter.wav").write_text("Dear reader")
    page = visit()
    page.set_input_files("#files", str(tmp_path / "letter.wav"))
    notice = page.locator("[role=alert] .notice")
    notice.wait_for()
    assert "letter.wav: the recording cannot be read" in notice.inner_text()
    assert "cannot be read" in page.inner_text("#state-text")
    page.click("[aria-label=Dismiss]")
    assert notice.count() == 0
    page.click("#retry")
    notice.wait_for()


def test_an_empty_file(visit: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "nothing.wav").touch()
    page = visit()
    page.set_input_files("#files", str(tmp_path / "nothing.wav"))
    assert page.inner_text(".notice") == "Empty: nothing.wav"
    assert page.locator("li").count() == 0


def test_the_server_is_gone(
    visit: Callable[..., Any], start_server: Callable[..., Served], speech: Path, tmp_path: Path
) -> None:
    served = start_server()
    page = visit(served.url)
    page.set_input_files("#files", str(speech))
    page.wait_for_selector(".word")
    served.stop()
    page.set_input_files("#files", str(speech))
    page.wait_for_selector("text=The server does not answer. Is it still running?")
    page.locator("li .open").first.click()
    # the text is saved without the server
    page.click("#export summary")
    page.click("[data-format=srt]")
    page.wait_for_selector("text=speech.srt was not saved.")
    page.click("#export summary")
    with page.expect_download() as download:
        page.click("[data-format=txt]")
    download.value.save_as(tmp_path / "saved.txt")
    assert " ".join((tmp_path / "saved.txt").read_text().split()) == TEXT


def test_a_busy_server_is_asked_again(visit: Callable[..., Any], speech: Path) -> None:
    page = visit()
    calls: list[str] = []

    def answer(route: Any) -> None:
        calls.append(route.request.method)
        if len(calls) > 1:
            route.continue_()
            return
        body = json.dumps({"error": {"message": "too many requests at a time"}})
        route.fulfill(status=429, headers={"Retry-After": "1"}, content_type="application/json", body=body)

    page.route("**/v1/audio/transcriptions", answer)
    page.set_input_files("#files", str(speech))
    page.wait_for_selector("text=The server is busy; again in 1 s.")
    page.wait_for_selector(".word")
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"detail": "not now"}', "not now"),
        ('{"detail": [{"loc": ["body", "file"], "msg": "field required"}]}', "file: field required"),
        ("<html><h1>Bad gateway</h1></html>", "The server answered with status 502."),
        ("proxy is away", "proxy is away"),
    ],
)
def test_errors_of_other_forms(visit: Callable[..., Any], speech: Path, body: str, expected: str) -> None:
    page = visit()
    page.route("**/v1/audio/transcriptions", lambda route: route.fulfill(status=502, body=body))
    page.set_input_files("#files", str(speech))
    page.wait_for_selector(".notice")
    assert page.inner_text(".notice p") == f"speech.wav: {expected}"


def test_a_token(visit: Callable[..., Any], start_server: Callable[..., Served], speech: Path) -> None:
    served = start_server(token="open-sesame")
    page = visit_with_token(visit, served, "wrong")
    page.wait_for_selector("text=The server does not accept this token.")
    page.fill("#token-value", "open-sesame")
    page.keyboard.press("Enter")
    until(page, "document.querySelector('#model').value === 'fixed'")
    page.set_input_files("#files", str(speech))
    page.wait_for_selector(".word")
    page.reload()  # it is kept while the tab is open
    until(page, "document.querySelector('#model').value === 'fixed'")
    assert not page.locator("#token").is_visible()


def visit_with_token(visit: Callable[..., Any], served: Served, token: str) -> Any:
    page = visit(served.url, wait=False)
    page.wait_for_selector("#token[open]")
    page.fill("#token-value", token)
    page.keyboard.press("Enter")
    return page
