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
from served_page import until

pytestmark = pytest.mark.browser
CLIP = Path(__file__).parents[3] / "recipes" / "english" / "clips" / "idle-hour.opus"


@pytest.fixture(scope="module")
def english() -> Iterator[str]:
    """The address of `asr serve`."""
    command = [sys.executable, "-m", "asr", "serve", "--port", "0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert server.stderr is not None
    address = None
    for line in server.stderr:
        if address := re.search(r"http://\S+?:\d+", line):
            break
    assert address, "asr serve ended without an address"
    yield address[0]
    server.send_signal(signal.SIGTERM)
    assert server.wait(30) == 0


def test_a_recording(visit: Callable[..., Any], english: str) -> None:
    page = visit(english)
    page.set_input_files("#files", str(CLIP))
    page.wait_for_selector(".word", timeout=60_000)
    from asr import load

    assert " ".join(page.locator(".word").all_inner_texts()) == str(load("english").transcribe(CLIP))


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
    page.click("#microphone")
    until(page, "document.querySelector('.live [role=log]')?.textContent.split(' ').length > 3", 60)
    time.sleep(3)
    page.click("#stop")
    page.wait_for_selector(".word", timeout=60_000)
    words = page.locator(".word").all_inner_texts()
    assert len(words) > 3
