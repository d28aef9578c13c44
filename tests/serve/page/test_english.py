"""The page of `asr serve` as a user has it: the command, the English model, real speech, a microphone."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from web_page import add_files, button, expect, words

pytestmark = pytest.mark.browser
LONG = 120_000  # milliseconds for the model on a busy machine
CLIP = Path(__file__).parents[3] / "recipes" / "english" / "clips" / "idle-hour.opus"


@pytest.fixture(scope="module")
def english(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `asr serve`."""
    command = [sys.executable, "-m", "asr", "serve", "--port", "0"]
    told = tmp_path_factory.mktemp("server") / "stderr.txt"
    with told.open("w") as stderr:
        server = subprocess.Popen(command, stderr=stderr, env={**os.environ, "OMP_NUM_THREADS": "1"})
    while not (address := re.search(r"http://\S+?:\d+", told.read_text())):
        assert server.poll() is None, told.read_text()
        time.sleep(0.1)
    yield address[0]
    server.send_signal(signal.SIGTERM)
    assert server.wait(60) == 0


def test_a_recording(visit: Callable[..., Any], english: str) -> None:
    from asr import load

    page = visit(english)
    add_files(page, CLIP)
    expected = str(load("english").transcribe(CLIP)).split()
    expect(words(page)).to_have_text(expected, timeout=LONG)


def test_words_while_somebody_speaks(
    visit: Callable[..., Any], launch: Callable[..., Any], english: str, tmp_path: Path
) -> None:
    """The microphone hears the recording; its words appear before the end, and stay."""
    samples, rate = soundfile.read(CLIP)
    file = tmp_path / "spoken.wav"
    soundfile.write(file, np.concatenate([np.zeros(rate), samples, np.zeros(3 * rate)]), rate)
    browser = launch(
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={file}%noloop",
    )
    page = visit(english, browser=browser, permissions=["microphone"])
    button(page, "Microphone").click()
    live = page.get_by_role("log")
    expect(live).to_have_text(re.compile(r"(\S+\s+){3}"), timeout=LONG)
    early = live.text_content().split()
    button(page, "Stop recording").click()
    for number, word in enumerate(early):
        expect(words(page).nth(number)).to_have_text(word, timeout=LONG)
