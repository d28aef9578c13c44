"""The page of `asr serve`: what the server refuses is shown, and nothing is lost by it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from served_page import TEXT, Served
from web_page import add_files, button, expect, row, until_recognized, words

pytestmark = pytest.mark.browser


def test_a_file_that_is_no_recording(visit: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "letter.wav").write_text("Dear reader")
    page = visit()
    add_files(page, tmp_path / "letter.wav")
    notice = page.locator("[role=alert] .notice")
    expect(notice).to_contain_text("letter.wav: the recording cannot be read")
    expect(page.locator("#state-text")).to_contain_text("cannot be read")
    for nothing in ("#player", "#transcript"):  # there is nothing to play or to read
        expect(page.locator(nothing)).to_be_hidden()
    button(page, "Dismiss").click()
    expect(notice).to_have_count(0)
    button(page, "Try again").click()
    expect(notice).to_contain_text("letter.wav: the recording cannot be read")


def test_messages_end_with_what_they_are_about(visit: Callable[..., Any], speech: Path, tmp_path: Path) -> None:
    """With the reason below the name, with the recording, or with further files."""
    for name in ("letter.wav", "other.wav"):
        (tmp_path / name).write_text("Dear reader")
    page = visit()
    notices, facts = page.locator(".notice"), page.locator("#word-facts")
    add_files(page, speech, tmp_path / "letter.wav", tmp_path / "other.wav")
    expect(notices).to_have_count(2)
    row(page, "letter.wav").click()
    expect(notices).to_have_count(1)
    expect(notices).to_contain_text("other.wav")
    expect(facts).to_contain_text("cannot play")
    row(page, "speech.wav").click()
    expect(facts).to_have_text("")
    button(page, "Remove other.wav").click()
    expect(notices).to_have_count(0)
    add_files(page, tmp_path / "other.wav")
    expect(notices).to_have_count(1)
    add_files(page, speech)
    expect(notices).to_have_count(0)


def test_many_messages_leave_room(visit: Callable[..., Any], tmp_path: Path) -> None:
    names = [tmp_path / f"letter-{number}.wav" for number in range(12)]
    for name in names:
        name.write_text("Dear reader")
    page = visit(viewport={"width": 360, "height": 740})
    add_files(page, *names)
    expect(page.locator(".notice")).to_have_count(len(names))
    assert page.locator("#notices").bounding_box()["height"] < 740 / 3


def test_an_empty_file(visit: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "nothing.wav").touch()
    page = visit()
    add_files(page, tmp_path / "nothing.wav")
    expect(page.locator(".notice")).to_have_text("Left out, as empty: nothing.wav")
    expect(page.locator("#recordings li")).to_have_count(0)


def test_the_server_is_gone(
    visit: Callable[..., Any], start_server: Callable[..., Served], speech: Path, tmp_path: Path
) -> None:
    served = start_server()
    page = visit(served.url)
    add_files(page, speech)
    until_recognized(page)
    served.stop()
    add_files(page, speech)
    expect(page.locator("#state-text")).to_have_text("The server does not answer. Is it still running?")
    page.locator("#recordings li").first.locator(".open").click()
    expect(words(page)).to_have_text(TEXT.split())
    # the text is saved without the server
    page.locator("#export summary").click()
    page.locator("[data-format=srt]").click()
    expect(page.locator(".notice").last).to_contain_text("speech.srt was not saved.")
    page.locator("#export summary").click()
    with page.expect_download() as download:
        page.locator("[data-format=txt]").click()
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
        route.fulfill(status=429, headers={"Retry-After": "600"}, content_type="application/json", body=body)

    page.clock.install()
    page.route("**/v1/audio/transcriptions", answer)
    add_files(page, speech)
    expect(page.locator("#state-text")).to_have_text("The server is busy; again in 600 s.")
    assert len(calls) == 1
    page.clock.fast_forward(600_000)
    expect(words(page)).to_have_text(TEXT.split())
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
    add_files(page, speech)
    expect(page.locator(".notice p")).to_have_text(f"speech.wav: {expected}")


def test_a_token(visit: Callable[..., Any], start_server: Callable[..., Served], speech: Path) -> None:
    served = start_server(token="open-sesame")
    page = visit(served.url, wait=False)
    field, model = page.get_by_label("Token", exact=True), page.locator("#model")
    field.fill("wrong")
    field.press("Enter")
    expect(page.locator("#token-text")).to_have_text("The server does not accept this token.")
    expect(field).to_have_value("")
    field.fill("open-sesame")
    field.press("Enter")
    expect(model).to_have_value("fixed")
    add_files(page, speech)
    until_recognized(page)
    page.reload()  # it is kept while the tab is open
    expect(model).to_have_value("fixed")
    expect(page.locator("#token")).to_be_hidden()
