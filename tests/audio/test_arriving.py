"""Audio that arrives: sources that are faster than what takes their samples."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from asr.audio import arriving
from asr.audio.arriving import ArrivingAudio, read_pcm

BLOCK = np.full(160, 0.5, dtype=np.float32)
DEADLINE = 60.0  # s; each of these tests takes a fraction of a second on an idle machine


def endless_device(audio: ArrivingAudio) -> Callable[[], None]:
    """Put in samples without a pause, as a driver that delivers faster than real time does; what ends it."""
    ended = threading.Event()

    def run() -> None:
        while not ended.is_set():
            audio.put(BLOCK)

    threading.Thread(target=run, daemon=True).start()
    return ended.set


def endless_pipe() -> tuple[ArrivingAudio, list[int]]:
    """Raw samples of which there are always more, and the sizes that were read."""
    sizes: list[int] = []

    def read(size: int) -> bytes:
        sizes.append(size)
        return bytes(size)

    return read_pcm(read, "standard input", 16_000, 16_000), sizes


def in_time(work: Callable[[], Any]) -> Any:
    """Return what a function returns, which has to end."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(work()), daemon=True)
    thread.start()
    thread.join(DEADLINE)
    assert found, "it does not end"
    return found[0]


@pytest.mark.parametrize("source", ["device", "pipe", "slow device"])
def test_a_source_that_never_pauses_can_be_stopped(source: str) -> None:
    if source == "pipe":
        audio, end = endless_pipe()[0], lambda: None
    else:
        audio = ArrivingAudio("device")
        end = endless_device(audio)

    def take() -> tuple[int, int]:
        blocks = audio.blocks()
        before = sum(len(next(blocks)) for _ in range(5))  # samples come, though the source has no pause
        if source == "slow device":
            time.sleep(0.2)  # many have come by now
        audio.stop()
        return before, sum(map(len, blocks))

    before, after = in_time(take)
    end()
    assert before > 0
    assert after <= arriving.MAX_WAITING + len(BLOCK)


def test_a_source_that_can_wait_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arriving, "MAX_AHEAD", 16_000)
    audio, sizes = endless_pipe()
    blocks = audio.blocks()
    taken = 0
    for _ in range(3):
        time.sleep(0.1)
        assert sum(sizes) // 2 - taken <= 16_000 + 3 * 1_600
        taken += len(in_time(lambda: next(blocks)))
    audio.stop()


def test_memory_is_bounded_where_a_source_cannot_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arriving, "MAX_WAITING", 1_600)
    audio = ArrivingAudio("device")
    for _ in range(100):
        audio.put(BLOCK)
    audio.stop()
    audio.put(BLOCK)  # too late
    assert sum(map(len, audio.blocks())) == 1_600 + len(BLOCK)


def test_all_samples_arrive_in_their_order() -> None:
    def counting() -> Iterator[bytes]:
        for begin in range(0, 30_000, 100):
            yield np.arange(begin, begin + 100, dtype="<i2").tobytes()

    source = itertools.chain(counting(), itertools.repeat(b""))
    audio = read_pcm(lambda size: next(source), "pipe", 16_000, 16_000)
    found = in_time(lambda: np.concatenate(list(audio.blocks())))
    np.testing.assert_array_equal(found * 32768, np.arange(30_000))
